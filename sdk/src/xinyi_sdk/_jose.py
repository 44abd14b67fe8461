"""The only module that knows joserfc. It costs half of an import, so it is loaded with the first key."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
from joserfc import jwk, jws
from joserfc.errors import JoseError

ALGORITHMS: Final = ("ES256", "PS256", "Ed25519")
Key: TypeAlias = jwk.ECKey | jwk.RSAKey | jwk.OKPKey

_registry = jws.JWSRegistry(algorithms=ALGORITHMS)


def generate_key() -> Key:
    """A new P-256 key."""
    return jwk.ECKey.generate_key("P-256", auto_kid=False)


def import_key(data: Mapping[str, Any] | bytes) -> Key | None:
    """The key in a JWK or in PEM, or ``None`` when it can't be read."""
    material = dict(data) if isinstance(data, Mapping) else data
    for kind in (jwk.ECKey, jwk.OKPKey, jwk.RSAKey):
        try:
            return kind.import_key(material)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return None


def algorithm_of(key: Key) -> str | None:
    """The one algorithm that this key signs with, or ``None`` when it has none."""
    if isinstance(key, jwk.ECKey) and key.curve_name == "P-256":
        return "ES256"
    if isinstance(key, jwk.OKPKey) and key.curve_name == "Ed25519":
        return "Ed25519"
    if isinstance(key, jwk.RSAKey) and key.public_key.key_size >= 2048:
        return "PS256"
    return None


def sign(header: Mapping[str, Any], claims: Mapping[str, Any], key: Key) -> str:
    """A compact JWS over ``claims``."""
    return jws.serialize_compact(dict(header), msgspec.json.encode(claims), key, registry=_registry)


def verifies(compact: str, public: Mapping[str, Any]) -> bool:
    """Whether a compact JWS was signed with the private half of this JWK."""
    try:
        jws.deserialize_compact(compact, jwk.import_key(dict(public)), registry=_registry)
    except (JoseError, ValueError, TypeError, KeyError):
        return False
    return True
