"""Key files: what signs and what must stay secret, outside the database, readable by their owner alone (0600).

``token.jwks.json``    signs access tokens
``ledger.jwks.json``   signs checkpoints; its public halves stay published for ever
``secrets.json``       keyed hashing, sealing and pairwise ids; each secret is versioned

Each says which environment it was made for: what a sandbox made without anybody's care serves nothing else.
"""

import os
import secrets
from base64 import b64decode, urlsafe_b64encode
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from msgspec import Meta, Struct

from ..settings import Environment
from .keys import KeyRing, Keys, Secret, SigningKey, Version
from .private import OWNER_ALONE, require_private

SECRET_BYTES: Final = 32
"""The least that a secret holds; what seals holds exactly so much (AES-256)."""
_VARIETY: Final = 16
"""The least different bytes in a secret: random ones fall short once in some 10¹⁸."""

_TOKEN: Final = "token.jwks.json"  # noqa: S105 (a file's name)
_LEDGER: Final = "ledger.jwks.json"
_SECRETS: Final = "secrets.json"

_T = TypeVar("_T", bound="_Document")


class UnfitKeys(Exception):
    """A key file isn't fit to be used. ``str()`` says which and why, in one sentence, and no part of a key."""


class KeysMissing(UnfitKeys):
    """A key file isn't there and may not be made here. ``str()`` says which, and the command that makes it."""


class _Document(Struct, forbid_unknown_fields=True, kw_only=True):
    xinyi_environment: Environment


class _PrivateJwk(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A private P-256 key (RFC 7518 §6.2)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    d: str
    xinyi_not_before: Annotated[int, Meta(ge=0)]
    alg: Literal["ES256"] = "ES256"
    use: Literal["sig"] = "sig"
    kid: str = ""


class _KeysDocument(_Document):
    keys: Annotated[list[_PrivateJwk], Meta(min_length=1)]


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


def open_keys(folder: Path, environment: Environment) -> Keys:
    """Reads the key files in ``folder``.

    Raises :class:`KeysMissing` when one is missing, :class:`UnfitKeys` when one isn't whole, is weak or was made for
    another environment, and ``PermissionError`` when one can be read by others than its owner.
    """
    token, ledger = (_ring(folder / name, environment) for name in (_TOKEN, _LEDGER))
    if token.kids & ledger.kids:
        raise UnfitKeys(f"{folder / _LEDGER} holds a key of {_TOKEN}: tokens and checkpoints have keys of their own")
    return Keys(token=token, ledger=ledger, **_secrets(folder / _SECRETS, environment))


def _ring(path: Path, environment: Environment) -> KeyRing:
    document = _read(path, _KeysDocument, environment)
    try:
        keys = [SigningKey(msgspec.to_builtins(jwk)) for jwk in document.keys]
    except (JoseError, ValueError, TypeError) as error:
        raise UnfitKeys(f"{path}: a key in it is no P-256 key pair") from error
    if len({key.kid for key in keys}) != len(keys):
        raise UnfitKeys(f"{path}: a key stands in it twice")
    if any(later.not_before < earlier.not_before for earlier, later in pairwise(keys)):
        raise UnfitKeys(f"{path}: its keys must stand in the order of xinyi_not_before, the oldest first")
    return KeyRing(keys)


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
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ALONE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(document), indent=2))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
