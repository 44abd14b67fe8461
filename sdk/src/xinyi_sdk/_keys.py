"""The client's own key and the ephemeral proof keys. Key material never shows in ``repr``, messages or pickles."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from ._encoding import b64url
from .errors import ConfigurationError

if TYPE_CHECKING:
    from ._jose import Key

KeyMaterial: TypeAlias = str | bytes | Path | Mapping[str, Any]
"""A path, PEM (PKCS #8), or a JWK as a mapping or JSON text."""
PrivateKey: TypeAlias = KeyMaterial | Callable[[], KeyMaterial]
"""Key material, or a callable that fetches it (from a secret manager, say) each time a signature is due."""

PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")


class SigningKey:
    """One private key that signs compact JWS with the algorithm that fits it."""

    __slots__ = ("_key", "algorithm", "kid", "public", "thumbprint")

    def __init__(self, key: "Key") -> None:
        from ._jose import algorithm_of

        algorithm = algorithm_of(key)
        if algorithm is None:
            raise ConfigurationError(
                "private_key must be P-256, Ed25519 or RSA of 2048 bits or more (ES256, Ed25519, PS256)"
            )
        self._key = key
        self.algorithm: str = algorithm
        self.thumbprint: str = key.thumbprint()
        self.kid: str = key.kid or self.thumbprint
        self.public: Mapping[str, Any] = {
            name: value for name, value in key.as_dict(private=False).items() if name in PUBLIC_MEMBERS
        }

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new P-256 key."""
        from ._jose import generate_key

        return cls(generate_key())

    @classmethod
    def load(cls, source: PrivateKey) -> "SigningKey":
        """The key in ``source``. Raises ``ConfigurationError`` that shows nothing of it."""
        material = source() if callable(source) else source
        key = _parse(material)
        if isinstance(key, str):
            raise ConfigurationError(f"private_key {key}")
        return cls(key)

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """A compact JWS over ``claims``; ``alg`` is added."""
        from ._jose import sign

        return sign({"alg": self.algorithm, **header}, claims, self._key)

    def private_jwk(self) -> str:
        """The private JWK as JSON: for a proof key that travels with a consent request."""
        return msgspec.json.encode(self._key.as_dict(private=True)).decode()

    def private_pem(self) -> bytes:
        """The private key as PKCS #8 PEM."""
        return self._key.as_pem(private=True)

    def public_jwk(self) -> dict[str, Any]:
        """The public JWK with ``kid``, ``use`` and ``alg``: what the operator registers."""
        return {**self.public, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def __repr__(self) -> str:
        return f"SigningKey({self.algorithm}, kid={self.kid!r})"

    def __reduce__(self) -> str:
        raise TypeError("a private key isn't pickled")


def _parse(material: object) -> "Key | str":
    """The key, or what is wrong with it: returned, not raised, so that no traceback's frame holds the material."""
    if isinstance(material, str) and not material.lstrip().startswith(("-----BEGIN", "{")):
        material = Path(material)
    if isinstance(material, Path):
        try:
            material = material.expanduser().read_bytes()
        except OSError as error:
            return f"can't be read from its file: {error.strerror}"
    if isinstance(material, str):
        material = material.encode()
    if isinstance(material, bytes) and material.lstrip().startswith(b"{"):
        try:
            material = msgspec.json.decode(material)
        except msgspec.DecodeError:
            return "looks like a JWK but isn't JSON"
    if not isinstance(material, (bytes, Mapping)):
        return "must be a path, PEM, a JWK, or a callable that returns one of them"
    from ._jose import import_key

    key = import_key(material if isinstance(material, Mapping) else material.replace(b"\\n", b"\n"))
    if key is not None:
        return key if key.is_private else "is a public key"
    return "can't be read: give unencrypted PKCS #8 PEM or a private JWK, of P-256, Ed25519 or RSA"


def generate_jwks() -> tuple[SigningKey, dict[str, Any]]:
    """A new key and the JWKS to give to the operator."""
    key = SigningKey.generate()
    return key, {"keys": [key.public_jwk()]}


def access_token_hash(token: str) -> str:
    """``ath`` of a DPoP proof (RFC 9449 §4.2)."""
    return b64url(hashlib.sha256(token.encode("ascii")).digest())


def s256(verifier: str) -> str:
    """PKCE's S256 (RFC 7636 §4.2)."""
    return b64url(hashlib.sha256(verifier.encode("ascii")).digest())


def proof_key(private_jwk: str) -> SigningKey:
    """The proof key that travelled with a consent request."""
    return SigningKey.load(private_jwk)
