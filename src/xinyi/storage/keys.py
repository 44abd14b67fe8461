"""Key files: signing keys and versioned secrets, kept outside the database, readable by their owner alone (0600).

``token.jwks.json``    signs access tokens
``ledger.jwks.json``   signs checkpoints; its public halves stay published for ever
``secrets.json``       keyed hashing, sealing and pairwise ids; each secret is versioned
"""

import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NewType

import msgspec
from joserfc.jwk import ECKey
from msgspec import Struct

ALGORITHM: Final = "ES256"
"""What this server signs with."""

_TOKEN: Final = "token.jwks.json"  # noqa: S105 (a file's name)
_LEDGER: Final = "ledger.jwks.json"
_SECRETS: Final = "secrets.json"

SECRET_NAMES: Final = ("subject_hash", "subject_seal", "pairwise", "opaque")

Version = NewType("Version", str)
"""Names one version of a secret: ``v1``, ``v2``, …"""


class KeysMissing(Exception):
    """A key file isn't there and may not be made here. ``str()`` says which, and the command that makes it."""


class SigningKey:
    """One private key and since when it signs."""

    def __init__(self, private_jwk: Mapping[str, Any]) -> None:
        self.key = ECKey.import_key(dict(private_jwk))
        self.kid: str = self.key.thumbprint()
        self.not_before: int = private_jwk["xinyi_not_before"]

    def public_jwk(self) -> dict[str, Any]:
        """The public half, as it is published."""
        return {
            **self.key.as_dict(private=False),
            "kid": self.kid,
            "use": "sig",
            "alg": ALGORITHM,
            "xinyi_not_before": self.not_before,
        }

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


class KeyRing:
    """The signing keys of one use, oldest first; the newest signs."""

    def __init__(self, keys: list[SigningKey]) -> None:
        self._keys = keys

    @property
    def signing(self) -> SigningKey:
        return self._keys[-1]

    def find(self, kid: str) -> SigningKey | None:
        """The key with this id, if the ring has it."""
        return next((key for key in self._keys if key.kid == kid), None)

    def public_jwks(self) -> dict[str, Any]:
        """A JWK Set (RFC 7517 §5) of every key's public half."""
        return {"keys": [key.public_jwk() for key in self._keys]}


class Secret(Struct, frozen=True):
    """A versioned secret: the newest version is used for what is new, the older ones for what they made."""

    current: Version
    versions: dict[Version, bytes]

    @property
    def key(self) -> bytes:
        return self.versions[self.current]

    def __repr__(self) -> str:
        return f"Secret(current={self.current!r})"


class Keys(Struct, frozen=True):
    """All keys of one installation."""

    token: KeyRing
    ledger: KeyRing
    subject_hash: Secret
    subject_seal: Secret
    pairwise: Secret
    opaque: Secret


def make_keys(folder: Path, now: datetime) -> None:
    """Makes the key files that are missing; those that are there stay as they are. Signing keys count from ``now``."""
    for name in (_TOKEN, _LEDGER):
        jwk = ECKey.generate_key("P-256").as_dict(private=True)
        _write_once(folder / name, {"keys": [{**jwk, "xinyi_not_before": int(now.timestamp())}]})
    _write_once(
        folder / _SECRETS,
        {
            name: {"current": "v1", "versions": {"v1": urlsafe_b64encode(secrets.token_bytes(32)).decode()}}
            for name in SECRET_NAMES
        },
    )


def open_keys(folder: Path) -> Keys:
    """Reads the key files in ``folder``.

    Raises :class:`KeysMissing` when one is missing, and ``PermissionError`` when one can be read by others than its
    owner.
    """
    return Keys(
        token=_ring(folder / _TOKEN),
        ledger=_ring(folder / _LEDGER),
        **_secrets(folder / _SECRETS),
    )


def _ring(path: Path) -> KeyRing:
    return KeyRing([SigningKey(jwk) for jwk in _read(path)["keys"]])


def _secrets(path: Path) -> dict[str, Secret]:
    document = _read(path)
    return {
        name: Secret(
            current=Version(document[name]["current"]),
            versions={Version(v): urlsafe_b64decode(text) for v, text in document[name]["versions"].items()},
        )
        for name in SECRET_NAMES
    }


def _read(path: Path) -> Any:
    if not path.exists():
        raise KeysMissing(f"{path} is missing: `xinyi keys init` makes it")
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} can be read by others: chmod 600 it")
    return msgspec.json.decode(path.read_bytes())


def _write_once(path: Path, document: Any) -> None:
    """Writes a whole file that nobody sees half-written; one that is there stays, and of two writers the first wins."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(document), indent=2))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
