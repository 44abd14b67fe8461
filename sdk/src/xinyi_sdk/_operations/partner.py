"""The partner itself."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from msgspec import Struct

from .._engine import Engine
from .._flow import Flow, Page
from .._problems import read
from ..models.partner import PartnerInfo, PartnerKey, Quota, SubParty, Usage, UsageRow
from .common import Data, Items, page_of, segment


def get(engine: Engine) -> Flow[PartnerInfo]:
    return read((yield from engine.call("GET", "/v1/partner")), Data[PartnerInfo]).data


def quota(engine: Engine) -> Flow[tuple[Quota, ...]]:
    return read((yield from engine.call("GET", "/v1/partner/quota")), Data[tuple[Quota, ...]]).data


class _UsageMeta(Struct, frozen=True):
    currency: str | None = None


class _Usage(Struct, frozen=True):
    data: tuple[UsageRow, ...]
    meta: _UsageMeta = _UsageMeta()


def usage(engine: Engine, first: date | None, last: date | None, by: str | None) -> Flow[Usage]:
    asked = {"from": _day(first), "to": _day(last), "by": by}
    query = {name: value for name, value in asked.items() if value is not None}
    body = read((yield from engine.call("GET", "/v1/partner/usage", query=query)), _Usage)
    return Usage(rows=body.data, currency=body.meta.currency)


def _day(day: date | None) -> str | None:
    return None if day is None else f"{day:%Y-%m-%d}"


def sub_parties(engine: Engine, cursor: str | None) -> Flow[Page[SubParty]]:
    return page_of(engine, "/v1/partner/sub-parties", Items[SubParty], cursor)


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
