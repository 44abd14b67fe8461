"""Signing keys and versioned secrets. ``storage.key_files`` reads them from files, and makes those."""

from collections.abc import Mapping
from typing import Any, Final, NewType

from joserfc.jwk import ECKey
from msgspec import Struct

ALGORITHM: Final = "ES256"
"""What this server signs with."""

Version = NewType("Version", str)
"""Names one version of a secret: ``v1``, ``v2``, …"""


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

    @property
    def kids(self) -> frozenset[str]:
        return frozenset(key.kid for key in self._keys)

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
