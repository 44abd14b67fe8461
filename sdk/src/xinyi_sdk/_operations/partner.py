"""The partner itself."""

from collections.abc import Mapping
from typing import Any

from .._engine import Engine
from .._flow import Flow
from .._problems import read
from ..models.partner import PartnerInfo, PartnerKey
from .common import Data, segment


def get(engine: Engine) -> Flow[PartnerInfo]:
    return read((yield from engine.call("GET", "/v1/partner")), Data[PartnerInfo]).data


def keys(engine: Engine) -> Flow[tuple[PartnerKey, ...]]:
    return read((yield from engine.call("GET", "/v1/partner/keys")), Data[tuple[PartnerKey, ...]]).data


def add_key(engine: Engine, public_jwk: Mapping[str, Any]) -> Flow[PartnerKey]:
    response = yield from engine.call("POST", "/v1/partner/keys", body=_public(public_jwk))
    return read(response, Data[PartnerKey]).data


def remove_key(engine: Engine, key_id: str) -> Flow[None]:
    yield from engine.call("DELETE", f"/v1/partner/keys/{segment(key_id)}")


def _public(jwk: Mapping[str, Any]) -> Mapping[str, Any]:
    """The key of a key set with one key, or the key itself. Raises ``ValueError`` for a private one."""
    listed = jwk.get("keys", [jwk])
    if len(listed) != 1:
        raise ValueError("give one key at a time")
    key: Mapping[str, Any] = listed[0]
    if "d" in key:
        raise ValueError("this is a private key: it stays with you, and the public half of jwks.json is sent")
    return key
