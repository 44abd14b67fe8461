"""Signed JWTs, read and checked with the profile's three algorithms and no other (FAPI 2.0 §5.4.1)."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from msgspec import Struct

from ..kernel.canonical import b64url, canonical_json, unb64url
from ..kernel.errors import XinyiError
from ..partners.keys import NotAKey, public_key
from ..web.body import decode_json

PublicKey = ECKey | OKPKey | RSAKey

ALGORITHMS: Final = ("ES256", "PS256", "Ed25519", "EdDSA")
"""``EdDSA`` is the old name of ``Ed25519`` (RFC 9864)."""

KEY_TYPES: Final = {"ES256": "EC", "PS256": "RSA", "Ed25519": "OKP", "EdDSA": "OKP"}
MAX_LENGTH: Final = 8192
_THUMBPRINT: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


_registry: Final = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_models: Final[Mapping[str, JWSAlgModel]] = {
    name: _registry.get_alg("Ed25519" if name == "EdDSA" else name) for name in ALGORITHMS
}


class JwtProblem(ValueError):
    """Something is wrong with a JWT that the JWT alone shows. ``str()`` says what."""


class UnverifiedJwt(Struct, frozen=True):
    """A JWT whose signature hasn't been checked. ``content`` is what was signed (RFC 7515 §5.1)."""

    header: Mapping[str, Any]
    claims: dict[str, Any]
    content: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        return str(self.header["alg"])

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether ``key`` made the signature."""
        model = _models[self.algorithm]
        try:
            model.check_key(key)
            return model.verify(self.content, self.signature, key)
        except (JoseError, ValueError, TypeError):
            return False

    def text(self, name: str, limit: int = 256) -> str:
        """A claim that must be a non-empty string. Raises :class:`JwtProblem`."""
        value = self.claims.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= limit:
            raise JwtProblem(f"{name} must be a string of 1 to {limit} characters")
        return value

    def moment(self, name: str) -> float | None:
        """A NumericDate (RFC 7519 §2), if it is there. Raises :class:`JwtProblem` when it is something else."""
        value = self.claims.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
            raise JwtProblem(f"{name} must be a NumericDate")
        return float(value)


def read_jwt(text: str) -> UnverifiedJwt:
    """Takes a compact JWS of one of :data:`ALGORITHMS` apart. Raises :class:`JwtProblem`."""
    if len(text) > MAX_LENGTH or not _COMPACT.fullmatch(text):
        raise JwtProblem(f"not a compact JWS of at most {MAX_LENGTH} characters")
    content, _, signature = text.rpartition(".")
    head, _, payload = content.partition(".")
    try:
        header = _header(head)
        claims = decode_json(unb64url(payload), dict[str, Any])
        signed = unb64url(signature)
    except (ValueError, XinyiError):
        raise JwtProblem("the header or the claims can't be parsed") from None
    if header.get("alg") not in ALGORITHMS:
        raise JwtProblem(f"alg must be one of {' '.join(ALGORITHMS)}")
    if "crit" in header or "b64" in header:
        raise JwtProblem("the header has extensions that aren't understood here")
    return UnverifiedJwt(header, claims, content.encode(), signed)


@lru_cache(maxsize=1024)
def _header(segment: str) -> Mapping[str, Any]:
    """A header, read strictly: joserfc takes the last of two members, and half a surrogate pair.

    One client's proofs all have the same, so those seen lately are kept.
    """
    return MappingProxyType(decode_json(unb64url(segment), dict[str, Any]))


def sign_jwt(header: Mapping[str, Any], claims: Mapping[str, Any], key: ECKey, algorithm: str = "ES256") -> str:
    """A compact JWS (RFC 7515 §7.1)."""
    head = b64url(msgspec.json.encode({"alg": algorithm, **header}))
    content = f"{head}.{b64url(msgspec.json.encode(claims))}"
    return f"{content}.{b64url(_models[algorithm].sign(content.encode(), key))}"


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The JWK Thumbprint (RFC 7638 §3) of a public key. Raises ``NotAKey`` when a member is missing."""
    members = {name: jwk.get(name) for name in _THUMBPRINT[jwk["kty"]]}
    if not all(isinstance(value, str) for value in members.values()):
        raise NotAKey("a member is missing")
    return b64url(hashlib.sha256(canonical_json(members)).digest())


class HeldKeys:
    """Public keys that were met lately, by thumbprint: to make one of its JWK costs half of what it verifies in."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._keys: OrderedDict[str, PublicKey] = OrderedDict()

    def find(self, jwk: Mapping[str, Any]) -> tuple[str, PublicKey]:
        """The thumbprint and the key of a public JWK. Raises ``NotAKey``."""
        jkt = thumbprint(jwk)
        key = self._keys.get(jkt)
        if key is None:
            key = self._keys[jkt] = public_key(jwk)
            if len(self._keys) > self._most:
                self._keys.popitem(last=False)
        else:
            self._keys.move_to_end(jkt)
        return jkt, key


def check_times(jwt: UnverifiedJwt, now: datetime, *, early: float, names: Collection[str] = ("iat", "nbf")) -> None:
    """Refuses what is made for later than ``early`` seconds ahead, or is over. Raises :class:`JwtProblem`."""
    at = now.timestamp()
    for name in names:
        moment = jwt.moment(name)
        if moment is not None and moment - at > early:
            raise JwtProblem(f"{name} is {moment - at:.0f} s ahead of this server's clock; {early:.0f} s are tolerated")
    expires = jwt.moment("exp")
    if expires is not None and expires <= at:
        raise JwtProblem(f"exp is {at - expires:.0f} s behind this server's clock")
