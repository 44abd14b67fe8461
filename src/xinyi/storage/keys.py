"""Key files: signing keys and versioned secrets, kept outside the database, readable by their owner alone (0600).

``token.jwks.json``    signs access tokens
``ledger.jwks.json``   signs checkpoints; its public halves stay published for ever
``secrets.json``       keyed hashing, sealing and pairwise ids; each secret is versioned
"""

import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NewType

import msgspec
from joserfc.jwk import ECKey
from msgspec import Struct

ALGORITHM: Final = "ES256"
"""What this server signs with."""

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


def open_keys(folder: Path, *, create: bool) -> Keys:
    """Reads the key files in ``folder``; with ``create`` makes those that are missing.

    Raises :class:`KeysMissing` when one is missing and ``create`` is false, and ``PermissionError`` when one can be
    read by others than its owner.
    """
    return Keys(
        token=_ring(folder / "token.jwks.json", create=create),
        ledger=_ring(folder / "ledger.jwks.json", create=create),
        **_secrets(folder / "secrets.json", create=create),
    )


def _ring(path: Path, *, create: bool) -> KeyRing:
    document = _read(path, _new_ring if create else None)
    return KeyRing([SigningKey(jwk) for jwk in document["keys"]])


def _new_ring() -> dict[str, Any]:
    jwk = ECKey.generate_key("P-256").as_dict(private=True)
    return {"keys": [{**jwk, "xinyi_not_before": int(datetime.now(UTC).timestamp())}]}


def _secrets(path: Path, *, create: bool) -> dict[str, Secret]:
    document = _read(path, _new_secrets if create else None)
    return {
        name: Secret(
            current=Version(document[name]["current"]),
            versions={Version(v): urlsafe_b64decode(text) for v, text in document[name]["versions"].items()},
        )
        for name in SECRET_NAMES
    }


def _new_secrets() -> dict[str, Any]:
    return {
        name: {"current": "v1", "versions": {"v1": urlsafe_b64encode(secrets.token_bytes(32)).decode()}}
        for name in SECRET_NAMES
    }


def _read(path: Path, make: Any) -> Any:
    if not path.exists():
        if make is None:
            raise KeysMissing(f"{path} is missing: `xinyi keys init` makes it")
        _write_once(path, msgspec.json.format(msgspec.json.encode(make()), indent=2))
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} can be read by others: chmod 600 it")
    return msgspec.json.decode(path.read_bytes())


def _write_once(path: Path, data: bytes) -> None:
    """Writes a whole file that nobody sees half-written; when two make it at once, the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
