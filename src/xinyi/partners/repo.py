"""The queries about partners, sources and clients."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Label, String, and_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.ids import new_id
from ..kernel.text import Text
from ..storage.sql import Prepared, one_of
from ..storage.types import UtcDateTime
from ..web.principal import Scope
from .model import (
    ChangedBy,
    Client,
    ClientStatus,
    KeyChange,
    NotedChange,
    Partner,
    Source,
    Standing,
    SubParty,
    SubPartyStatus,
)
from .tables import client_scenarios, clients, key_changes, partners, sources, sub_parties


async def insert_partner(tx: AsyncConnection, partner: Partner) -> None:
    await tx.execute(insert(partners).values(msgspec.structs.asdict(partner)))


async def insert_source(tx: AsyncConnection, source: Source) -> None:
    await tx.execute(insert(sources).values(msgspec.structs.asdict(source)))


async def insert_client(tx: AsyncConnection, client: Client) -> None:
    await tx.execute(
        insert(clients).values(
            id=client.id,
            partner_id=client.partner_id,
            source_id=client.source_id,
            name=client.name,
            jwks=client.jwks,
            jwks_uri=client.jwks_uri,
            redirect_uris=client.redirect_uris,
            scopes=sorted(client.scopes),
            status=client.status,
            created_at=client.created_at,
        )
    )
    if client.scenarios:
        await tx.execute(
            insert(client_scenarios),
            [
                {"client_id": client.id, "scenario_id": scenario, "units": None if units is None else sorted(units)}
                for scenario, units in sorted(client.scenarios.items())
            ],
        )


async def set_partner_standing(tx: AsyncConnection, partner_id: str, standing: Standing) -> bool:
    """Whether there is such a partner."""
    return await _update(tx, update(partners).where(partners.c.id == partner_id).values(status=standing))


async def set_source_standing(tx: AsyncConnection, source_id: str, standing: Standing) -> bool:
    """Whether there is such a source."""
    return await _update(tx, update(sources).where(sources.c.id == source_id).values(status=standing))


async def set_client_status(tx: AsyncConnection, client_id: str, status: ClientStatus) -> bool:
    """Whether there is such a client."""
    return await _update(tx, update(clients).where(clients.c.id == client_id).values(status=status))


class LockedKeys(Struct, frozen=True):
    """A client's registered keys, if it has any, and whose they are."""

    partner_id: str | None
    jwks: dict[str, Any] | None


async def lock_jwks(tx: AsyncConnection, client_id: str) -> LockedKeys | None:
    """The client's keys, which nobody else changes until the unit of work ends; ``None``: there is no such client."""
    wanted = select(clients.c.partner_id, clients.c.jwks).where(clients.c.id == client_id).with_for_update()
    found = (await tx.execute(wanted)).one_or_none()
    return None if found is None else LockedKeys(*found)


async def set_jwks(tx: AsyncConnection, client_id: str, jwks: dict[str, Any]) -> None:
    await tx.execute(update(clients).where(clients.c.id == client_id).values(jwks=jwks))


async def insert_key_changes(
    tx: AsyncConnection, client_id: str, keys: Mapping[str, str], change: KeyChange, by: ChangedBy, at: datetime
) -> None:
    """Notes what became of ``keys``: their kids, by thumbprint."""
    await tx.execute(
        insert(key_changes),
        [
            {
                "client_id": client_id,
                "id": new_id("kch", at),
                "key_id": key_id,
                "kid": kid,
                "change": change,
                "made_by": by,
                "at": at,
            }
            for key_id, kid in keys.items()
        ],
    )


async def load_key_changes(tx: AsyncConnection, client_id: str | None, limit: int) -> list[NotedChange]:
    """Changes of a client's keys, or of everybody's, the newest first."""
    wanted = select(*(key_changes.c[name] for name in NotedChange.__struct_fields__))
    if client_id is not None:
        wanted = wanted.where(key_changes.c.client_id == client_id)
    rows = await tx.execute(wanted.order_by(key_changes.c.id.desc()).limit(limit))
    return [msgspec.convert(dict(zip(NotedChange.__struct_fields__, row, strict=True)), NotedChange) for row in rows]


async def load_added(tx: AsyncConnection, client_id: str) -> dict[str, datetime]:
    """When each key was added last, by thumbprint."""
    wanted = (
        select(key_changes.c.key_id, func.max(key_changes.c.at, type_=UtcDateTime()).label("at"))
        .where(key_changes.c.client_id == client_id, key_changes.c.change == KeyChange.ADDED)
        .group_by(key_changes.c.key_id)
    )
    return {row.key_id: row.at for row in await tx.execute(wanted)}


async def _update(tx: AsyncConnection, statement: Any) -> bool:
    return bool((await tx.execute(statement)).rowcount)


async def load_partner(tx: AsyncConnection, partner_id: str) -> Partner | None:
    row = (await tx.execute(select(partners).where(partners.c.id == partner_id))).one_or_none()
    return None if row is None else _partner(row._asdict())


async def load_partners(tx: AsyncConnection) -> list[Partner]:
    return [_partner(row._asdict()) for row in await tx.execute(select(partners).order_by(partners.c.id))]


async def insert_sub_party(tx: AsyncConnection, sub_party: SubParty) -> None:
    await tx.execute(insert(sub_parties).values(msgspec.structs.asdict(sub_party)))


async def close_sub_party(tx: AsyncConnection, partner_id: str, sub_party_id: str) -> bool:
    """Whether the partner has such a sub-party."""
    same = and_(sub_parties.c.partner_id == partner_id, sub_parties.c.id == sub_party_id)
    return await _update(tx, update(sub_parties).where(same).values(status=SubPartyStatus.CLOSED))


_sub_parties: Final = select(*(sub_parties.c[name] for name in SubParty.__struct_fields__))


async def load_sub_parties(
    tx: AsyncConnection, partner_id: str, *, after: str | None = None, limit: int | None = None
) -> list[SubParty]:
    """A partner's sub-parties, oldest first, from behind the id ``after`` on."""
    wanted = _sub_parties.where(sub_parties.c.partner_id == partner_id).order_by(sub_parties.c.id).limit(limit)
    if after is not None:
        wanted = wanted.where(sub_parties.c.id > after)
    return [_sub_party(row) for row in await tx.execute(wanted)]


_sub_party_by_id: Final = Prepared(
    lambda dialect: _sub_parties.where(
        one_of(dialect, sub_parties.c.partner_id, "partner_ids"), one_of(dialect, sub_parties.c.id, "ids")
    )
)


async def load_sub_parties_by_id(tx: AsyncConnection, pairs: Collection[tuple[str, str]]) -> dict[str, SubParty]:
    """The sub-parties with these partners and ids, by id."""
    if not pairs:
        return {}
    rows = await _sub_party_by_id.fetch(
        tx, partner_ids=sorted({partner_id for partner_id, _ in pairs}), ids=sorted({each for _, each in pairs})
    )
    found = map(_sub_party, rows)
    return {each.id: each for each in found if (each.partner_id, each.id) in pairs}


async def load_source(tx: AsyncConnection, source_id: str) -> Source | None:
    row = (await tx.execute(select(sources).where(sources.c.id == source_id))).one_or_none()
    return None if row is None else _source(row._asdict())


async def load_sources(tx: AsyncConnection) -> list[Source]:
    return [_source(row._asdict()) for row in await tx.execute(select(sources).order_by(sources.c.id))]


def _labelled(prefix: str, columns: Iterable[ColumnElement[Any]]) -> Sequence[Label[Any]]:
    return [column.label(f"{prefix}_{column.key}") for column in columns]


_columns: Final = (
    *_labelled("client", clients.c),
    *_labelled("partner", partners.c),
    *_labelled("source", sources.c),
    client_scenarios.c.scenario_id.label("given_id"),
    client_scenarios.c.units.label("given_units"),
)
_NAMES: Final = [column.name for column in _columns]
_joined: Final = (
    select(*_columns)
    .select_from(
        clients.outerjoin(partners, clients.c.partner_id == partners.c.id)
        .outerjoin(sources, clients.c.source_id == sources.c.id)
        .outerjoin(client_scenarios, client_scenarios.c.client_id == clients.c.id)
    )
    .order_by(clients.c.id, client_scenarios.c.scenario_id)
)
"""Clients with their owners and scenarios: a row for each scenario of a client."""
_by_id: Final = Prepared(lambda dialect: _joined.where(one_of(dialect, clients.c.id, "ids")))


async def load_client(tx: AsyncConnection, client_id: str) -> Client | None:
    return (await load_clients_by_id(tx, [client_id])).get(client_id)


_standing: Final = Prepared(
    lambda _dialect: (
        select(clients.c.status, func.coalesce(partners.c.status, sources.c.status, type_=String).label("owner"))
        .select_from(
            clients.outerjoin(partners, clients.c.partner_id == partners.c.id).outerjoin(
                sources, clients.c.source_id == sources.c.id
            )
        )
        .where(clients.c.id == bindparam("client_id"))
    )
)


async def load_standing(tx: AsyncConnection, client_id: str) -> tuple[ClientStatus, Standing] | None:
    """How the client and its owner stand."""
    rows = await _standing.fetch(tx, client_id=client_id)
    return (ClientStatus(rows[0][0]), Standing(rows[0][1])) if rows else None


async def load_clients_by_id(tx: AsyncConnection, ids: Collection[str]) -> dict[str, Client]:
    if not ids:
        return {}
    return {client.id: client for client in _clients(await _by_id.fetch(tx, ids=ids))}


async def load_clients(tx: AsyncConnection, partner_id: str | None = None) -> list[Client]:
    wanted = _joined if partner_id is None else _joined.where(clients.c.partner_id == partner_id)
    return _clients(tuple(row) for row in await tx.execute(wanted))


def _clients(rows: Iterable[Sequence[Any]]) -> list[Client]:
    by_client: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        values = dict(zip(_NAMES, row, strict=True))
        by_client.setdefault(values["client_id"], []).append(values)
    return [_client(group) for group in by_client.values()]


def _client(rows: Sequence[Mapping[str, Any]]) -> Client:
    first = rows[0]
    return Client(
        id=first["client_id"],
        name=first["client_name"],
        partner=None if first["partner_id"] is None else _partner(first, "partner_"),
        source=None if first["source_id"] is None else _source(first, "source_"),
        jwks=first["client_jwks"],
        jwks_uri=first["client_jwks_uri"],
        redirect_uris=tuple(first["client_redirect_uris"]),
        scopes=frozenset(map(Scope, first["client_scopes"])),
        scenarios={
            row["given_id"]: None if row["given_units"] is None else frozenset(row["given_units"])
            for row in rows
            if row["given_id"] is not None
        },
        status=ClientStatus(first["client_status"]),
        created_at=first["client_created_at"],
    )


def _partner(values: Mapping[str, Any], prefix: str = "") -> Partner:
    return Partner(
        id=values[f"{prefix}id"],
        name=msgspec.convert(values[f"{prefix}name"], Text),
        kind=values[f"{prefix}kind"],
        contact=values[f"{prefix}contact"],
        status=Standing(values[f"{prefix}status"]),
        created_at=values[f"{prefix}created_at"],
    )


def _sub_party(row: Sequence[Any]) -> SubParty:
    return msgspec.convert(dict(zip(SubParty.__struct_fields__, row, strict=True)), SubParty)


def _source(values: Mapping[str, Any], prefix: str = "") -> Source:
    return Source(
        id=values[f"{prefix}id"],
        name=msgspec.convert(values[f"{prefix}name"], Text),
        record_types=tuple(values[f"{prefix}record_types"]),
        status=Standing(values[f"{prefix}status"]),
        created_at=values[f"{prefix}created_at"],
    )
