"""Signatures made in advance, with cryptography alone: assertions and proofs as fast as a core can make them."""

import hashlib
import secrets
import time
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from xinyi.kernel.canonical import b64url

_ES256: Final = ec.ECDSA(hashes.SHA256())


class Member:
    """A partner's program, which signs with one key."""

    def __init__(self) -> None:
        self.client_id = ""
        self._key = ec.generate_private_key(ec.SECP256R1())
        point = self._key.public_key().public_numbers()
        self._jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": b64url(point.x.to_bytes(32, "big")),
            "y": b64url(point.y.to_bytes(32, "big")),
        }
        self._proof_header = _part({"alg": "ES256", "typ": "dpop+jwt", "jwk": self._jwk})
        self._assertion_header = _part({"alg": "ES256", "typ": "JWT", "kid": "k1"})

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key, as it is registered (RFC 7517 §5)."""
        return {"keys": [{**self._jwk, "kid": "k1"}]}

    def proof(self, url: str, token: str | None = None, method: str = "POST") -> str:
        """A fresh DPoP proof of a request to ``url`` (RFC 9449 §4.2), good for a minute from now."""
        claims = {"jti": secrets.token_urlsafe(12), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = b64url(hashlib.sha256(token.encode()).digest())
        return self._signed(self._proof_header, claims)

    def assertion(self, audience: str) -> str:
        """A fresh client assertion (RFC 7523 §3), good for two minutes from now."""
        now = int(time.time())
        claims = {"jti": secrets.token_urlsafe(12), "iat": now, "exp": now + 120, "aud": audience}
        return self._signed(self._assertion_header, {**claims, "iss": self.client_id, "sub": self.client_id})

    def _signed(self, header: str, claims: dict[str, Any]) -> str:
        content = f"{header}.{_part(claims)}"
        r, s = decode_dss_signature(self._key.sign(content.encode(), _ES256))
        return f"{content}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _part(value: object) -> str:
    return b64url(msgspec.json.encode(value))
