"""Key files: what signs and what must stay secret, outside the database, readable by their owner alone (0600).

``token.jwks.json``    signs access tokens
``ledger.jwks.json``   signs checkpoints; its public halves stay, and stay published, for ever
``secrets.json``       keyed hashing, sealing and pairwise ids; each secret is versioned

The first two are read again when they change: a key that is to sign later is published from then on. Each says which
environment it was made for: what a sandbox made without anybody's care serves nothing else.
"""

import fcntl
import os
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from msgspec import UNSET, Meta, Struct, UnsetType

from ..kernel.clock import Clock
from ..settings import Environment
from .keys import KeyRing, Keys, KeyState, Secret, SigningKey, Version
from .private import OWNER_ALONE, require_private

SECRET_BYTES: Final = 32
"""The least that a secret holds; what seals holds exactly so much (AES-256)."""
TOKENS_LIVE: Final = timedelta(minutes=6)
"""No access token is older (they live for five minutes), with what clocks may be apart."""
_VARIETY: Final = 16
"""The least different bytes in a secret: random ones fall short once in some 10¹⁸."""

_TOKEN: Final = "token.jwks.json"  # noqa: S105 (a file's name)
_LEDGER: Final = "ledger.jwks.json"
_SECRETS: Final = "secrets.json"

_log = structlog.get_logger(__name__)
_T = TypeVar("_T", bound="_Document")


class UnfitKeys(Exception):
    """A key file isn't fit to be used. ``str()`` says which and why, in one sentence, and no part of a key."""


class KeysMissing(UnfitKeys):
    """A key file isn't there and may not be made here. ``str()`` says which, and the command that makes it."""


class KeyWaits(UnfitKeys):
    """A key that was added waits to sign. ``str()`` says since when it will."""


class KeyStays(UnfitKeys):
    """A key can't be revoked. ``str()`` says why."""


class Purpose(StrEnum):
    """What a ring of keys signs."""

    TOKEN = "token"  # noqa: S105 (a name)
    LEDGER = "ledger"


FILES: Final = {Purpose.TOKEN: _TOKEN, Purpose.LEDGER: _LEDGER}


class _Document(Struct, forbid_unknown_fields=True, kw_only=True):
    xinyi_environment: Environment


class _Jwk(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A P-256 key (RFC 7518 §6.2); without ``d`` it signs no more."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    d: str | UnsetType = UNSET
    xinyi_not_before: Annotated[int, Meta(ge=0)]
    alg: Literal["ES256"] = "ES256"
    use: Literal["sig"] = "sig"
    kid: str = ""


class _KeysDocument(_Document):
    keys: Annotated[list[_Jwk], Meta(min_length=1)]


class _VersionedSecret(Struct, forbid_unknown_fields=True):
    current: str
    versions: dict[Annotated[str, Meta(pattern="^v[1-9][0-9]{0,8}$")], str]


class _SecretsDocument(_Document):
    subject_hash: _VersionedSecret
    subject_seal: _VersionedSecret
    pairwise: _VersionedSecret
    opaque: _VersionedSecret


_NAMES: Final = ("subject_hash", "subject_seal", "pairwise", "opaque")


def make_keys(folder: Path, now: datetime, environment: Environment) -> None:
    """Makes the key files that are missing; those that are there stay as they are. Signing keys count from ``now``."""
    stamp = {"xinyi_environment": environment}
    for name in (_TOKEN, _LEDGER):
        jwk = ECKey.generate_key("P-256").as_dict(private=True)
        _write_once(folder / name, {**stamp, "keys": [{**jwk, "xinyi_not_before": int(now.timestamp())}]})
    fresh = {
        name: {"current": "v1", "versions": {"v1": urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}}
        for name in _NAMES
    }
    _write_once(folder / _SECRETS, {**stamp, **fresh})


def open_keys(folder: Path, environment: Environment, clock: Clock) -> Keys:
    """Reads the key files in ``folder``; those that sign are read again whenever they change.

    Raises :class:`KeysMissing` when one is missing, :class:`UnfitKeys` when one isn't whole, is weak or was made for
    another environment, and ``PermissionError`` when one can be read by others than its owner.
    """
    token = _ring(folder / _TOKEN, environment, clock, TOKENS_LIVE)
    ledger = _ring(folder / _LEDGER, environment, clock, None)
    if token.kids & ledger.kids:
        raise UnfitKeys(f"{folder / _LEDGER} holds a key of {_TOKEN}: tokens and checkpoints have keys of their own")
    return Keys(token=token, ledger=ledger, **_secrets(folder / _SECRETS, environment))


def rotate(folder: Path, purpose: Purpose, environment: Environment, clock: Clock, ahead: timedelta) -> SigningKey:
    """Adds a key that is published at once, and signs when ``ahead`` has passed; gives the key.

    What is over is taken away: token keys whose tokens have all expired, and the private halves of the ledger's keys
    that will never sign again. Raises :class:`KeyWaits` when the last one that was added doesn't sign yet, and as
    :func:`open_keys`.
    """
    path, now = folder / FILES[purpose], clock.now()
    with _alone(folder):
        document = _read(path, _KeysDocument, environment)
        keys = _signing_keys(path, document)
        if now.timestamp() < keys[-1].not_before:
            moment = datetime.fromtimestamp(keys[-1].not_before, UTC)
            raise KeyWaits(f"{path}: key {keys[-1].kid} waits to sign from {moment:%Y-%m-%d %H:%M:%S} UTC")
        kept = TOKENS_LIVE if purpose is Purpose.TOKEN else None
        states = [state for _, state in KeyRing(keys, clock, kept=kept).states(now)]
        left = [jwk for jwk, state in zip(document.keys, states, strict=True) if state is not KeyState.RETIRED]
        if purpose is Purpose.LEDGER:
            over = now.timestamp() - TOKENS_LIVE.total_seconds()
            for jwk, successor in pairwise(left):
                if successor.xinyi_not_before <= over:
                    jwk.d = UNSET
        begins = int((now + ahead).timestamp())
        made = {**ECKey.generate_key("P-256").as_dict(private=True), "xinyi_not_before": begins}
        document.keys = [*left, msgspec.convert(made, _Jwk)]
        _replace(path, document)
    return SigningKey(made)


def require_revocable(keys: Keys, kid: str) -> None:
    """Raises :class:`KeyStays` for what is no key of the tokens."""
    if kid in keys.ledger.kids:
        raise KeyStays(
            f"{kid} is a key of the ledger, which stays published: receipts that it signed must verify for years. "
            "`xinyi keys rotate --ledger --ahead 0` lets another one sign"
        )
    if kid not in keys.token.kids:
        raise KeyStays(f"no key of the tokens is named {kid}: `xinyi keys list` names them")


def revoke(folder: Path, kid: str, environment: Environment, clock: Clock) -> SigningKey:
    """Takes a token key out of its file, so that nothing that it signed is taken; gives the key that signs now.

    That is a new one, unless another one signs already. Raises :class:`KeyStays`, and as :func:`open_keys`.
    """
    path, now = folder / _TOKEN, clock.now()
    with _alone(folder):
        require_revocable(open_keys(folder, environment, clock), kid)
        document = _read(path, _KeysDocument, environment)
        ring = KeyRing(_signing_keys(path, document), clock, kept=TOKENS_LIVE)
        left = [  # a retired one would verify again without its successor
            jwk
            for jwk, (key, state) in zip(document.keys, ring.states(now), strict=True)
            if key.kid != kid and state is not KeyState.RETIRED
        ]
        if ring.signing.kid == kid:
            made = {**ECKey.generate_key("P-256").as_dict(private=True), "xinyi_not_before": int(now.timestamp())}
            waiting = [jwk for jwk in left if jwk.xinyi_not_before > now.timestamp()]
            left = [*left[: len(left) - len(waiting)], msgspec.convert(made, _Jwk), *waiting]
        document.keys = left
        _replace(path, document)
    return KeyRing(_signing_keys(path, document), clock, kept=TOKENS_LIVE).signing


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """No other process rotates keys in this folder until the block ends. Raises :class:`KeysMissing`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError as error:
        raise KeysMissing(f"{folder} is missing: `xinyi keys init` makes it") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def states(folder: Path, environment: Environment, clock: Clock) -> list[tuple[Purpose, SigningKey, KeyState]]:
    """The keys that sign, and what each does now. Raises as :func:`open_keys`."""
    keys = open_keys(folder, environment, clock)
    rings = {Purpose.TOKEN: keys.token, Purpose.LEDGER: keys.ledger}
    return [(purpose, key, state) for purpose, ring in rings.items() for key, state in ring.states(clock.now())]


def _ring(path: Path, environment: Environment, clock: Clock, kept: timedelta | None) -> KeyRing:
    watched = _Watched(path, environment, for_ever=kept is None)
    return KeyRing(watched.read(), clock, kept=kept, changed=watched.changed)


class _Watched:
    """A key file that may be changed while it is in use, by this program on any host or by whoever copies it there."""

    def __init__(self, path: Path, environment: Environment, *, for_ever: bool) -> None:
        self._path = path
        self._environment = environment
        self._for_ever = for_ever
        self._seen: tuple[int, ...] = ()
        self._unfit: tuple[int, ...] = ()
        self._kids: frozenset[str] = frozenset()

    def read(self) -> Sequence[SigningKey]:
        seen = self._stamp()
        keys = _signing_keys(self._path, _read(self._path, _KeysDocument, self._environment))
        kids = frozenset(key.kid for key in keys)
        if self._for_ever and not self._kids <= kids:
            raise UnfitKeys(f"{self._path} lacks a key that was published: it must stay, or receipts can't be verified")
        self._seen, self._kids = seen, kids
        return keys

    def changed(self) -> Sequence[SigningKey] | None:
        """The keys, when the file isn't the one that was read; what can't be used is logged, and changes nothing."""
        stamp = self._stamp()
        if stamp in {self._seen, self._unfit}:
            return None
        try:
            return self.read()
        except (OSError, UnfitKeys) as problem:
            self._unfit = stamp
            _log.error("key_file_unfit", why=str(problem))
            return None

    def _stamp(self) -> tuple[int, ...]:
        try:
            stat = self._path.stat()
        except OSError:
            return ()
        return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _signing_keys(path: Path, document: _KeysDocument) -> list[SigningKey]:
    try:
        keys = [SigningKey(msgspec.to_builtins(jwk)) for jwk in document.keys]
    except (JoseError, ValueError, TypeError) as error:
        raise UnfitKeys(f"{path}: a key in it is no P-256 key pair") from error
    if len({key.kid for key in keys}) != len(keys):
        raise UnfitKeys(f"{path}: a key stands in it twice")
    if any(later.not_before < earlier.not_before for earlier, later in pairwise(keys)):
        raise UnfitKeys(f"{path}: its keys must stand in the order of xinyi_not_before, the oldest first")
    if not keys[-1].key.is_private:
        raise UnfitKeys(f"{path}: its newest key has no private half")
    return keys


def _secrets(path: Path, environment: Environment) -> dict[str, Secret]:
    document = _read(path, _SecretsDocument, environment)
    found = {name: _secret(path, name, getattr(document, name)) for name in _NAMES}
    every = [value for secret in found.values() for value in secret.versions.values()]
    if len(set(every)) != len(every):
        raise UnfitKeys(f"{path}: two secrets in it are equal")
    return found


def _secret(path: Path, name: str, given: _VersionedSecret) -> Secret:
    if given.current not in given.versions:
        raise UnfitKeys(f"{path}: {name}: `current` names no version that is there")
    versions = {}
    for version, text in given.versions.items():
        try:
            value = b64decode(text.encode(), altchars=b"-_", validate=True)
        except ValueError as error:
            raise UnfitKeys(f"{path}: {name} {version} isn't base64url") from error
        if len(value) < SECRET_BYTES:
            raise UnfitKeys(f"{path}: {name} {version} is shorter than {SECRET_BYTES} bytes")
        if name == "subject_seal" and len(value) != SECRET_BYTES:
            raise UnfitKeys(f"{path}: {name} {version} must be {SECRET_BYTES} bytes, a key of AES-256")
        if len(set(value)) < _VARIETY:
            raise UnfitKeys(f"{path}: {name} {version} isn't random")
        versions[Version(version)] = value
    return Secret(Version(given.current), versions)


def _read(path: Path, type_: type[_T], environment: Environment) -> _T:
    try:
        require_private(path)
        document = msgspec.json.decode(path.read_bytes(), type=type_)
    except FileNotFoundError as error:
        raise KeysMissing(f"{path} is missing: `xinyi keys init` makes it") from error
    except msgspec.DecodeError as error:
        raise UnfitKeys(f"{path} isn't a key file of xinyi: {error}") from error
    if document.xinyi_environment is not environment:
        made_for = document.xinyi_environment.value
        raise UnfitKeys(f"{path} was made for {made_for}, and this installation is {environment.value}")
    return document


def _write_once(path: Path, document: Any) -> None:
    """Writes a whole file that nobody sees half-written; one that is there stays, and of two writers the first wins."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _draft(path, document) as draft, suppress(FileExistsError):
        os.link(draft, path)


def _replace(path: Path, document: Any) -> None:
    """Puts a whole file in the place of another, whose owner keeps it: the server may run as somebody else."""
    before = path.stat()
    with _draft(path, document) as draft:
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(draft, before.st_uid, before.st_gid)
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)


@contextmanager
def _draft(path: Path, document: Any) -> Generator[Path]:
    """A file beside ``path``, its owner's alone, that is whole and on the disk."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ALONE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(document), indent=2))
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
