"""Registering partners, sources and clients, and finding them again."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import structlog
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, epoch_seconds, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import new_id
from ..kernel.text import Text
from ..storage import outbox
from ..web.outbound import Outbound, OutboundRefused
from ..web.principal import Scope
from . import repo
from .keys import MAX_KEYS, WORKS_FROM, check_jwks, check_key, thumbprint, without_time, works
from .model import (
    ChangedBy,
    Client,
    ClientKey,
    ClientStatus,
    KeyChange,
    NotedChange,
    Partner,
    Source,
    Standing,
    SubParty,
    SubPartyStatus,
)
from .published import PublishedKeys
from .redirects import check_redirect_uri

T = TypeVar("T")
PARTNER_SCOPES: Final = frozenset({Scope.CHECKS, Scope.CONSENTS, Scope.PARTNER})
SOURCE_SCOPES: Final = frozenset({Scope.RECORDS})
KEY_DELAY: Final = timedelta(hours=24)
"""So long a key that a client adds by itself waits until it works, unless the settings say otherwise."""
KEYS_CHANGED: Final = "client.keys_changed"
"""The event that tells the partner."""
MAX_NAME: Final = 100
MAX_CONTACT: Final = 200
_log = structlog.get_logger(__name__)
_SLUG: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


class PartnerService:
    """The register. Every function works in the caller's unit of work, ``tx``, and commits nothing.

    ``sandbox`` lets redirect URIs be http on the loopback. ``key_delay``: how long a key that a client adds by itself
    waits until it works.
    """

    def __init__(self, clock: Clock, outbound: Outbound, *, sandbox: bool, key_delay: timedelta = KEY_DELAY) -> None:
        self._key_delay = key_delay
        self._clock = clock
        self._outbound = outbound
        self._published = PublishedKeys(outbound, clock)
        self._sandbox = sandbox

    async def add_partner(self, tx: AsyncConnection, name: Text, kind: str, contact: str) -> Partner:
        """Registers an institution. Raises ``XinyiError(INVALID)`` for a name, kind or contact that can't be."""
        _check_name(name.zh, "name_zh")
        _check_name(name.en, "name_en")
        _check_slug(kind, "kind")
        _check_line(contact, "contact", MAX_CONTACT, "a contact")
        now = whole_seconds(self._clock.now())
        partner = Partner(
            id=new_id("prt", now), name=name, kind=kind, contact=contact, status=Standing.ACTIVE, created_at=now
        )
        await repo.insert_partner(tx, partner)
        return partner

    async def add_client(
        self,
        tx: AsyncConnection,
        partner_id: str,
        name: str,
        jwks: object = None,
        *,
        jwks_uri: str | None = None,
        redirect_uris: Collection[str] = (),
        scenarios: Mapping[str, Collection[str] | None] | None = None,
    ) -> Client:
        """Registers a partner's program with its public keys, or where it publishes them, and its scenarios.

        ``scenarios`` maps a scenario's id to the units that the client may learn, or to ``None`` for all; whether
        those scenarios exist and are for this kind of partner is the caller's to check. Raises ``XinyiError``:
        NOT_FOUND (the partner) or INVALID.
        """
        partner = await self.partner(tx, partner_id)
        return await self._add_client(
            tx,
            name,
            jwks,
            PARTNER_SCOPES,
            partner=partner,
            jwks_uri=jwks_uri,
            redirect_uris=redirect_uris,
            scenarios=scenarios or {},
        )

    async def add_source(
        self, tx: AsyncConnection, source_id: str, name: Text, record_types: Collection[str], jwks: object = None
    ) -> tuple[Source, Client | None]:
        """Registers a body that supplies records; with ``jwks`` also its client, whose scope is ``records``.

        Whether the record types exist is the caller's to check. Raises ``XinyiError``: WRONG_STATE (the id is taken)
        or INVALID.
        """
        _check_slug(source_id, "id")
        _check_name(name.zh, "name_zh")
        _check_name(name.en, "name_en")
        if not record_types:
            raise XinyiError(Code.INVALID, "a source supplies at least one record type", source="record_types")
        if await repo.load_source(tx, source_id) is not None:
            raise XinyiError(Code.WRONG_STATE, "there is a source with this id already", source="id")
        source = Source(
            id=source_id,
            name=name,
            record_types=tuple(sorted(set(record_types))),
            status=Standing.ACTIVE,
            created_at=whole_seconds(self._clock.now()),
        )
        await repo.insert_source(tx, source)
        client = None if jwks is None else await self._add_client(tx, name.en, jwks, SOURCE_SCOPES, source=source)
        return source, client

    async def _add_client(
        self,
        tx: AsyncConnection,
        name: str,
        jwks: object,
        scopes: frozenset[Scope],
        *,
        partner: Partner | None = None,
        source: Source | None = None,
        jwks_uri: str | None = None,
        redirect_uris: Collection[str] = (),
        scenarios: Mapping[str, Collection[str] | None] | None = None,
    ) -> Client:
        _check_name(name, "name")
        now = whole_seconds(self._clock.now())
        client = Client(
            id=new_id("cli", now),
            name=name,
            partner=partner,
            source=source,
            jwks=None if jwks is None else check_jwks(jwks),
            jwks_uri=None if jwks_uri is None else self._checked_uri(jwks_uri),
            redirect_uris=tuple(check_redirect_uri(uri, sandbox=self._sandbox) for uri in redirect_uris),
            scopes=scopes,
            scenarios={
                scenario: None if units is None else frozenset(units) for scenario, units in (scenarios or {}).items()
            },
            status=ClientStatus.ACTIVE,
            created_at=now,
        )
        if (client.jwks is None) == (client.jwks_uri is None):
            raise XinyiError(Code.INVALID, "a client has either registered keys or a jwks_uri", source="jwks")
        await repo.insert_client(tx, client)
        if client.jwks is not None:
            added = {thumbprint(key): key["kid"] for key in client.jwks["keys"]}
            await repo.insert_key_changes(tx, client.id, added, KeyChange.ADDED, ChangedBy.OPERATOR, now)
        return client

    def _checked_uri(self, uri: str) -> str:
        try:
            self._outbound.check(uri)
        except OutboundRefused as refused:
            raise XinyiError(Code.INVALID, str(refused), source="jwks_uri") from None
        return uri

    async def keys(self, client: Client, kid: str | None = None) -> Sequence[dict[str, Any]]:
        """The public keys that the client authenticates with. ``kid`` names the one that is looked for.

        For a client that publishes its keys they may have to be fetched: call it outside a unit of work.
        """
        if client.jwks_uri is not None:
            return await self._published.get(client.jwks_uri, kid)
        assert client.jwks is not None, "a client has keys or an address of them"
        now = self._clock.now()
        return [without_time(key) for key in client.jwks["keys"] if works(key, now)]

    async def registered_keys(self, tx: AsyncConnection, client_id: str) -> list[ClientKey]:
        """The registered keys of a client, in the order in which they came, with those that wait until they work; none
        when it publishes them itself."""
        client = _found(await repo.load_client(tx, client_id), "client")
        added = await repo.load_added(tx, client_id)
        keys = [] if client.jwks is None else client.jwks["keys"]
        return [_client_key(key, added) for key in keys]

    async def add_key(
        self, tx: AsyncConnection, client_id: str, jwk: object, by: ChangedBy = ChangedBy.CLIENT
    ) -> ClientKey:
        """Registers one more key. One that is there already stays as it is.

        One that the client adds by itself works when the delay is over, so that whoever stole its key can't at once put
        another one in its place. One that the operator adds works at once, also if it waited.

        Raises ``XinyiError``: NOT_FOUND, INVALID (also for a kid that another key has), or WRONG_STATE when the client
        publishes its keys or has as many as there may be.
        """
        key, now = check_key(jwk, ""), self._clock.now()
        stored = {**key, WORKS_FROM: epoch_seconds(now + self._key_delay)} if by is ChangedBy.CLIENT else key
        key_id, held = thumbprint(key), await self._locked_keys(tx, client_id)
        keys = held.jwks["keys"]
        there = next((each for each in keys if without_time(each) == key), None)
        if there is None or (by is ChangedBy.OPERATOR and not works(there, now)):
            others = [each for each in keys if each is not there]
            if any(each["kid"] == key["kid"] or thumbprint(each) == key_id for each in others):
                raise XinyiError(Code.INVALID, "the key or its kid is registered already", source="/kid")
            if len(others) >= MAX_KEYS:
                raise XinyiError(Code.WRONG_STATE, f"there are {MAX_KEYS} keys already: remove one first")
            await self._change_keys(tx, held, [*others, stored], stored, KeyChange.ADDED, by)
            there = stored
        return _client_key(there, await repo.load_added(tx, client_id))

    async def remove_key(
        self, tx: AsyncConnection, client_id: str, key_id: str, by: ChangedBy = ChangedBy.CLIENT
    ) -> None:
        """Removes a key, also one that waits: nothing that it signs is taken once this is committed.

        Raises ``XinyiError``: NOT_FOUND, or WRONG_STATE for the last key that works, or when the client publishes its
        keys.
        """
        held, now = await self._locked_keys(tx, client_id), self._clock.now()
        keys = held.jwks["keys"]
        key = _found(next((key for key in keys if thumbprint(key) == key_id), None), "key")
        left = [each for each in keys if each is not key]
        if not any(works(each, now) for each in left):
            raise XinyiError(Code.WRONG_STATE, "this is the only key that works: another one has to work first")
        await self._change_keys(tx, held, left, key, KeyChange.REMOVED, by)

    async def key_changes(self, tx: AsyncConnection, *, client_id: str | None, limit: int) -> list[NotedChange]:
        """Which keys a client, or anybody, was given and lost, the newest first."""
        return await repo.load_key_changes(tx, client_id, limit)

    async def _locked_keys(self, tx: AsyncConnection, client_id: str) -> "_Held":
        found = _found(await repo.lock_jwks(tx, client_id), "client")
        if found.jwks is None:
            raise XinyiError(Code.WRONG_STATE, "this client publishes its keys at its jwks_uri: change them there")
        return _Held(client_id, found.partner_id, found.jwks)

    async def _change_keys(
        self,
        tx: AsyncConnection,
        held: "_Held",
        keys: Sequence[dict[str, Any]],
        changed: dict[str, Any],
        change: KeyChange,
        by: ChangedBy,
    ) -> None:
        now = self._clock.now()
        key_id = thumbprint(changed)
        await repo.set_jwks(tx, held.client_id, {"keys": list(keys)})
        await repo.insert_key_changes(tx, held.client_id, {key_id: changed["kid"]}, change, by, now)
        if held.partner_id is not None:
            works_from = max(changed.get(WORKS_FROM, 0), epoch_seconds(now)) if change is KeyChange.ADDED else None
            told: dict[str, object] = {
                "client_id": held.client_id,
                "change": change.value,
                "key_id": key_id,
                "kid": changed["kid"],
                "made_by": by.value,
                "works_from": None if works_from is None else _told(works_from),
            }
            await outbox.put(tx, [outbox.NewEvent(KEYS_CHANGED, held.partner_id, told)], now)
        _log.warning("client_keys_changed", client=held.client_id, change=change.value, by=by.value)

    async def close(self) -> None:
        """Ends what is under way."""
        await self._published.close()

    async def client(self, tx: AsyncConnection, client_id: str) -> Client | None:
        """The client with its partner or source, whatever their state."""
        return await repo.load_client(tx, client_id)

    async def require_standing(self, tx: AsyncConnection, client_id: str) -> None:
        """As :func:`require_active`, by one small query; a client that isn't there is as one that is disabled."""
        found = await repo.load_standing(tx, client_id)
        _require_standing(*(found or (ClientStatus.DISABLED, Standing.ACTIVE)))

    async def clients_by_id(self, tx: AsyncConnection, ids: Collection[str]) -> dict[str, Client]:
        """The clients with these ids, in one query, whatever their state."""
        return await repo.load_clients_by_id(tx, ids)

    async def clients(self, tx: AsyncConnection, partner_id: str | None = None) -> list[Client]:
        """All clients, or one partner's; oldest first."""
        return await repo.load_clients(tx, partner_id)

    async def partner(self, tx: AsyncConnection, partner_id: str) -> Partner:
        """Raises ``XinyiError(NOT_FOUND)``."""
        return _found(await repo.load_partner(tx, partner_id), "partner")

    async def partners(self, tx: AsyncConnection) -> list[Partner]:
        """All partners, oldest first."""
        return await repo.load_partners(tx)

    async def add_sub_party(
        self, tx: AsyncConnection, partner_id: str, name: Text, contact: str | None = None
    ) -> SubParty:
        """Registers a branch or merchant by which the partner acts. Raises ``XinyiError``: NOT_FOUND or INVALID."""
        _check_name(name.zh, "name_zh")
        _check_name(name.en, "name_en")
        if contact is not None:
            _check_line(contact, "contact", MAX_CONTACT, "a contact")
        partner = await self.partner(tx, partner_id)
        now = whole_seconds(self._clock.now())
        sub_party = SubParty(new_id("sbp", now), partner.id, name, contact, SubPartyStatus.ACTIVE, now)
        await repo.insert_sub_party(tx, sub_party)
        return sub_party

    async def close_sub_party(self, tx: AsyncConnection, partner_id: str, sub_party_id: str) -> None:
        """From now on nothing is asked under it, and no check answered. Raises ``XinyiError(NOT_FOUND)``."""
        _require(await repo.close_sub_party(tx, partner_id, sub_party_id), "sub-party")

    async def sub_parties(
        self, tx: AsyncConnection, partner_id: str, *, after: str | None = None, limit: int | None = None
    ) -> list[SubParty]:
        """A partner's sub-parties, oldest first, closed ones too; from behind the id ``after`` on."""
        return await repo.load_sub_parties(tx, partner_id, after=after, limit=limit)

    async def sub_parties_by_id(
        self, tx: AsyncConnection, pairs: Collection[tuple[str, str | None]]
    ) -> dict[str, SubParty]:
        """Those of these partners and ids that are there, by id, in one query at most, whatever their status.

        Pairs without an id are passed over.
        """
        return await repo.load_sub_parties_by_id(tx, {(partner, each) for partner, each in pairs if each is not None})

    async def sub_party(self, tx: AsyncConnection, partner_id: str, sub_party_id: str | None) -> SubParty | None:
        """The partner's sub-party, whatever its status; ``None`` for ``None``. Raises ``XinyiError(NOT_FOUND)``."""
        if sub_party_id is None:
            return None
        found = await self.sub_parties_by_id(tx, [(partner_id, sub_party_id)])
        return _found(found.get(sub_party_id), "sub-party")

    async def acting_sub_party(self, tx: AsyncConnection, partner_id: str, sub_party_id: str | None) -> SubParty | None:
        """As :meth:`sub_party`, for who asks under it.

        Another partner's, one that is closed and one that doesn't exist are one ``XinyiError(INVALID)``.
        """
        if sub_party_id is None:
            return None
        found = (await self.sub_parties_by_id(tx, [(partner_id, sub_party_id)])).get(sub_party_id)
        if found is None or not found.active:
            raise XinyiError(Code.INVALID, "there is no such sub-party, or it is closed", source="/sub_party")
        return found

    async def source(self, tx: AsyncConnection, source_id: str) -> Source:
        """Raises ``XinyiError(NOT_FOUND)``."""
        return _found(await repo.load_source(tx, source_id), "source")

    async def sources(self, tx: AsyncConnection) -> list[Source]:
        """All sources, by id."""
        return await repo.load_sources(tx)

    async def suspend_partner(self, tx: AsyncConnection, partner_id: str) -> None:
        """From now on the partner gets no token and no answer. Raises ``XinyiError(NOT_FOUND)``."""
        _require(await repo.set_partner_standing(tx, partner_id, Standing.SUSPENDED), "partner")

    async def resume_partner(self, tx: AsyncConnection, partner_id: str) -> None:
        """Undoes a suspension. Raises ``XinyiError(NOT_FOUND)``."""
        _require(await repo.set_partner_standing(tx, partner_id, Standing.ACTIVE), "partner")

    async def suspend_source(self, tx: AsyncConnection, source_id: str) -> None:
        """From now on the source's client gets no token. Raises ``XinyiError(NOT_FOUND)``."""
        _require(await repo.set_source_standing(tx, source_id, Standing.SUSPENDED), "source")

    async def resume_source(self, tx: AsyncConnection, source_id: str) -> None:
        """Undoes a suspension. Raises ``XinyiError(NOT_FOUND)``."""
        _require(await repo.set_source_standing(tx, source_id, Standing.ACTIVE), "source")

    async def disable_client(self, tx: AsyncConnection, client_id: str) -> None:
        """Ends a client: it authenticates no more, and its tokens answer no more. Raises ``XinyiError(NOT_FOUND)``."""
        _require(await repo.set_client_status(tx, client_id, ClientStatus.DISABLED), "client")


class _Held(Struct, frozen=True):
    """A client's registered keys, which nobody else changes meanwhile."""

    client_id: str
    partner_id: str | None
    jwks: dict[str, Any]


def _client_key(stored: Mapping[str, Any], added: Mapping[str, datetime]) -> ClientKey:
    key_id = thumbprint(stored)
    begins = stored.get(WORKS_FROM)
    works_from = added[key_id] if begins is None else datetime.fromtimestamp(begins, UTC)
    return ClientKey(key_id, without_time(stored), added[key_id], works_from)


def _told(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def require_active(client: Client) -> None:
    """Raises ``XinyiError``: NOT_ENTITLED when the client is disabled, PARTNER_SUSPENDED when its owner is."""
    _require_standing(client.status, client.owner.status)


def _require_standing(client: ClientStatus, owner: Standing) -> None:
    if client is not ClientStatus.ACTIVE:
        raise XinyiError(Code.NOT_ENTITLED, "the client is disabled")
    if owner is not Standing.ACTIVE:
        raise XinyiError(Code.PARTNER_SUSPENDED)


def _found(value: T | None, what: str) -> T:
    if value is None:
        raise XinyiError(Code.NOT_FOUND, f"there is no such {what}")
    return value


def _require(found: bool, what: str) -> None:
    if not found:
        raise XinyiError(Code.NOT_FOUND, f"there is no such {what}")


def _check_name(name: str, source: str) -> None:
    _check_line(name, source, MAX_NAME, "a name")


def _check_line(text: str, source: str, longest: int, what: str) -> None:
    if not 1 <= len(text) <= longest or not text.isprintable() or text != text.strip():
        raise XinyiError(Code.INVALID, f"{what} has 1 to {longest} printable characters", source=source)


def _check_slug(text: str, source: str) -> None:
    if len(text) > 60 or not _SLUG.fullmatch(text):
        raise XinyiError(Code.INVALID, "letters a-z, digits and hyphens, beginning with a letter", source=source)
