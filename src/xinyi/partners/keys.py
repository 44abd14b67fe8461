"""What a client's JWK Set must be like: public signature keys of the three algorithms, each with its own kid."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ..kernel.canonical import unb64url
from ..kernel.errors import Code, XinyiError

MAX_KEYS: Final = 16
MAX_PUBLISHED: Final = 64
MAX_KID: Final = 128
RSA_BITS: Final = range(2048, 8193)

WORKS_FROM: Final = "xinyi_works_from"
"""The member in which a stored key says from when on it works, in seconds since 1970; without it, it does already."""

_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
_TYPES: Final[dict[Any, type[ECKey | OKPKey | RSAKey]]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}
_ALGORITHMS: Final = {"EC": ("ES256",), "OKP": ("Ed25519", "EdDSA"), "RSA": ("PS256",)}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def check_jwks(document: object) -> dict[str, Any]:
    """The JWK Set with what we keep of it: kty, kid, use, alg and the public members.

    Takes P-256, Ed25519 and RSA keys of 2048 to 8192 bits (FAPI 2.0 §5.4.1) for signatures. Raises
    ``XinyiError(INVALID)`` with a pointer to the bad member; never repeats a member's value.
    """
    if not isinstance(document, Mapping) or not isinstance(keys := document.get("keys"), list):
        raise _invalid("a JWK Set is an object with a list 'keys'", "/keys")
    if not 1 <= len(keys) <= MAX_KEYS:
        raise _invalid(f"one to {MAX_KEYS} keys are needed", "/keys")
    checked = [check_key(key, f"/keys/{index}") for index, key in enumerate(keys)]
    if len({key["kid"] for key in checked}) != len(checked):
        raise _invalid("two keys have the same kid", "/keys")
    if len({thumbprint(key) for key in checked}) != len(checked):
        raise _invalid("a key stands there twice", "/keys")
    return {"keys": checked}


def published_keys(document: object) -> list[dict[str, Any]]:
    """As :func:`check_jwks`, for a set that a client publishes itself: keys that aren't for us are passed over
    (RFC 7517 §5), and one whose private half stands there is nobody's any more.

    Raises ``XinyiError(INVALID)`` for what is no JWK Set or holds more than :data:`MAX_PUBLISHED` keys.
    """
    if not isinstance(document, Mapping) or not isinstance(keys := document.get("keys"), list):
        raise _invalid("a JWK Set is an object with a list 'keys'", "/keys")
    if len(keys) > MAX_PUBLISHED:
        raise _invalid(f"a JWK Set has at most {MAX_PUBLISHED} keys", "/keys")
    taken = []
    for key in keys:
        with suppress(XinyiError):
            taken.append(check_key(key, ""))
    return taken


def check_key(jwk: object, at: str) -> dict[str, Any]:
    """One key, as :func:`check_jwks` takes it. ``at`` is the pointer to it."""
    if not isinstance(jwk, Mapping):
        raise _invalid("a key is an object", at)
    if _PRIVATE & jwk.keys():
        raise _invalid("this is a private or symmetric key: register public keys only", at)
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _MEMBERS:
        raise _invalid("kty must be EC, OKP or RSA", f"{at}/kty")
    if kty in _CURVES and jwk.get("crv") != _CURVES[kty]:
        raise _invalid(f"crv must be {_CURVES[kty]}", f"{at}/crv")
    if jwk.get("use", "sig") != "sig":
        raise _invalid("use must be sig", f"{at}/use")
    if "alg" in jwk and jwk["alg"] not in _ALGORITHMS[kty]:
        raise _invalid(f"alg must be {' or '.join(sorted(_ALGORITHMS[kty]))}", f"{at}/alg")
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 1 <= len(kid) <= MAX_KID or not kid.isprintable():
        raise _invalid(f"kid must be 1 to {MAX_KID} printable characters", f"{at}/kid")
    kept = {name: jwk.get(name) for name in ("kty", *_MEMBERS[kty])}
    try:
        public_key(kept)
    except NotAKey as error:
        raise _invalid(str(error), at) from error
    return {**kept, "kid": kid, "use": "sig", **({"alg": jwk["alg"]} if "alg" in jwk else {})}


def works(stored: Mapping[str, Any], at: datetime) -> bool:
    """Whether a stored key authenticates its client at that moment."""
    begins: int = stored.get(WORKS_FROM, 0)
    return begins <= at.timestamp()


def without_time(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The JWK of a stored key."""
    return {name: value for name, value in stored.items() if name != WORKS_FROM}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The JWK Thumbprint (RFC 7638 §3) of a checked key: names the key whatever its kid."""
    return public_key(jwk).thumbprint()


class NotAKey(ValueError):
    """A JWK doesn't tell a public key that we take. ``str()`` says why, without the key."""


def public_key(jwk: Mapping[str, Any]) -> ECKey | OKPKey | RSAKey:
    """The key of a public JWK: P-256, Ed25519, or RSA of 2048 to 8192 bits. Raises :class:`NotAKey`."""
    members: dict[str, Any] = {name: jwk.get(name) for name in ("kty", *_MEMBERS.get(str(jwk.get("kty")), ()))}
    kty = members["kty"]
    try:
        if kty == "RSA" and _bits(members["n"]) not in RSA_BITS:
            raise NotAKey("an RSA key has 2048 to 8192 bits")
        if kty in _CURVES and members["crv"] != _CURVES[kty]:
            raise NotAKey(f"crv must be {_CURVES[kty]}")
        key = _TYPES[kty].import_key(members)
        _ = key.public_key  # joserfc reads the members only when they are needed
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise error if isinstance(error, NotAKey) else NotAKey("the key's members don't make a key") from error
    return key


def _bits(number: str) -> int:
    """The length of a Base64urlUInt (RFC 7518 §2), told before anything is computed with it."""
    return int.from_bytes(unb64url(number)).bit_length()


def _invalid(detail: str, source: str) -> XinyiError:
    return XinyiError(Code.INVALID, detail, source=source)
