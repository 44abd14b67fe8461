"""A list of requests in, a list of results out: load, evaluate, minimise, commit, answer.

An online call is a list of one or more that wait at the same moment; a batch is the same with a longer list.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..consents import repo as consents_repo
from ..consents.events import CONSUMED, told
from ..consents.model import Consent, ConsentState, refusal, spend, state
from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code
from ..kernel.ids import new_ids
from ..ledger.model import NewEntry
from ..ledger.service import LedgerService
from ..partners.model import Client, SubParty
from ..partners.service import PartnerService
from ..records.service import RecordService
from ..scenarios.disclosure import Disclosure, disclose
from ..scenarios.model import Scenario
from ..scenarios.registry import Registry
from ..storage import idempotency, outbox
from ..storage.database import Database
from ..storage.idempotency import Use
from ..subjects.service import SubjectService
from . import repo
from .model import (
    Answer,
    Answered,
    Ask,
    CheckBody,
    ReceiptBody,
    Refused,
    Result,
    ScenarioRef,
    check_entry,
    new_salts,
    refusal_entry,
)
from .repo import CheckRow

BREATH: Final = 4
"""Results drafted without a break while others are being stored: each statement of those waits for some of them."""


class _Draft(Struct, frozen=True, kw_only=True):
    """One result on its way: the ledger gives its receipt at the very end."""

    index: int
    ask: Ask
    check_id: str
    subject_id: str | None
    entry: bytes
    answer: Answer | None = None
    code: Code | None = None


class CheckService:
    """Answers checks, and gives earlier answers again."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        partners: PartnerService,
        subjects: SubjectService,
        records: RecordService,
        scenarios: Registry,
        ledger: LedgerService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._partners = partners
        self._subjects = subjects
        self._records = records
        self._scenarios = scenarios
        self._ledger = ledger

    async def run(self, asks: Sequence[Ask]) -> list[Result]:
        """Answers ``asks`` in one transaction; the results stand in the same order.

        Raises ``XinyiError(UNAVAILABLE)`` when the database can't be reached or the commit isn't confirmed, and
        SQLAlchemy's ``DBAPIError`` when it refuses the data. Either way nothing was answered and no use was spent.
        """
        async with self._database.transaction() as tx:
            return await self.run_within(tx, asks)

    async def run_within(
        self, tx: AsyncConnection, asks: Sequence[Ask], *, after: Callable[[], Awaitable[object]] | None = None
    ) -> list[Result]:
        """As :meth:`run`, in a transaction of the caller, who stores what belongs to the results in it as well.

        Nothing is stored before ``after`` has returned: what it waits for goes on while these are evaluated. The
        ledger's head stays locked until ``tx`` ends. Nothing may be shown before ``tx`` has committed.
        """
        clients = await self._partners.clients_by_id(tx, {ask.client_id for ask in asks})
        results: dict[int, Result] = {}
        todo, twins = await self._replay(tx, asks, clients, results)
        consents = await consents_repo.lock(tx, sorted({ask.request.consent_id for ask in todo.values()}))
        # Read under the locks: a withdrawal that has returned lies before this moment.
        at = self._clock.now()
        drafts = await self._draft(tx, todo, consents, clients, at, results, breathe=after is not None)
        if after is not None:
            await after()
        await self._commit(tx, drafts, consents, at, results)
        if twins:
            results.update(zip(twins, await self.run_within(tx, [asks[index] for index in twins]), strict=True))
        return [results[index] for index in range(len(asks))]

    async def get(self, *, client_id: str, partner_id: str, bound_consent_id: str | None, check_id: str) -> Result:
        """An earlier result of this partner, as it was given, for a client that may use the scenario.

        ``Refused(NOT_FOUND)`` for what doesn't exist and for what is another's; otherwise as :meth:`again`.
        """
        async with self._database.read() as tx:
            row = (await repo.find(tx, [check_id])).get(check_id)
            if row is None or row.partner_id != partner_id or bound_consent_id not in {None, row.consent_id}:
                return Refused(Code.NOT_FOUND)
            clients = await self._partners.clients_by_id(tx, [client_id])
            return _barred(row, clients.get(client_id)) or (await self._stored(tx, [row]))[row.id]

    async def again(self, tx: AsyncConnection, check_ids: Collection[str], *, client_id: str) -> dict[str, Result]:
        """Earlier results as they were given, by check id, for a client of the partner whose they are.

        An answer isn't given again while the subject pauses the consent, once they have withdrawn it, when the time is
        over for which the partner may keep it, and to a client that may not use the scenario.
        """
        rows = await repo.find(tx, check_ids)
        if not rows:
            return {}
        client = (await self._partners.clients_by_id(tx, [client_id])).get(client_id)
        stored = await self._stored(tx, rows.values())
        return {row.id: _barred(row, client) or stored[row.id] for row in rows.values()}

    async def readable(self, tx: AsyncConnection, *, client_id: str, since: datetime) -> frozenset[str]:
        """The scenarios whose answers, the oldest of them from ``since``, this client is given again."""
        client = (await self._partners.clients_by_id(tx, [client_id])).get(client_id)
        if client is None or _standing(client) is not None:
            return frozenset()
        at = self._clock.now()
        return frozenset(
            scenario.id
            for scenario in self._scenarios.all()
            if scenario.id in client.scenarios and at < since + timedelta(days=scenario.retention_days)
        )

    def receipt(self, answered: Answered) -> ReceiptBody:
        """The receipt in an answer."""
        return msgspec.json.decode(answered.body, type=ReceiptBody)

    async def _stored(self, tx: AsyncConnection, rows: Collection[CheckRow]) -> dict[str, Result]:
        consents = await consents_repo.load(tx, {row.consent_id for row in rows})
        at = self._clock.now()
        return {row.id: self._stored_one(row, consents[row.consent_id], at) for row in rows}

    def _stored_one(self, row: CheckRow, consent: Consent, at: datetime) -> Result:
        if row.refusal is None:
            if (code := _NOT_AGAIN.get(state(consent, at))) is not None:
                return Refused(code, row.id)
            scenario = self._scenarios.find(row.scenario_id, row.scenario_version)
            if scenario is None or at >= row.created_at + timedelta(days=scenario.retention_days):
                return Refused(Code.CONSENT_EXPIRED, row.id)
        return _result(row)

    async def _replay(
        self, tx: AsyncConnection, asks: Sequence[Ask], clients: Mapping[str, Client], results: dict[int, Result]
    ) -> tuple[dict[int, Ask], list[int]]:
        """Settles the asks whose idempotency key was used before.

        Gives the others, by index; and the indexes of those that use a key of one among these: they come after it, and
        find what it left.
        """
        keyed = {(ask.partner_id, ask.idempotency_key) for ask in asks if ask.idempotency_key is not None}
        earlier = await idempotency.find(tx, keyed)
        rows = await repo.find(tx, {use.resource for use in earlier.values()})
        stored = await self._stored(tx, rows.values()) if rows else {}
        fresh = keyed - earlier.keys()
        todo: dict[int, Ask] = {}
        twins: list[int] = []
        for index, ask in enumerate(asks):
            pair = (ask.partner_id, ask.idempotency_key)
            if ask.idempotency_key is None or pair in fresh:
                fresh.discard((ask.partner_id, ask.idempotency_key or ""))
                todo[index] = ask
            elif (use := earlier.get((ask.partner_id, ask.idempotency_key))) is None:
                twins.append(index)
            elif use.digest != ask.digest:
                results[index] = Refused(Code.IDEMPOTENCY_KEY_REUSED, source="idempotency-key")
            elif ask.bound_consent_id not in {None, rows[use.resource].consent_id}:
                results[index] = Refused(Code.NOT_FOUND, source="/consent_id")
            else:
                row = rows[use.resource]
                results[index] = _barred(row, clients.get(ask.client_id)) or stored[row.id]
        return todo, twins

    async def _draft(
        self,
        tx: AsyncConnection,
        todo: Mapping[int, Ask],
        consents: dict[str, Consent],
        clients: Mapping[str, Client],
        at: datetime,
        results: dict[int, Result],
        *,
        breathe: bool,
    ) -> list[_Draft]:
        """Evaluates and minimises; what names an unknown or foreign consent is settled and leaves nothing."""
        wanted = {
            (consent.subject_id, consent.scenario_id) for consent in consents.values() if consent.subject_id is not None
        }
        latest = {scenario.id: scenario for scenario in self._scenarios.all()}
        types = {
            code for _, scenario_id in wanted if scenario_id in latest for code in latest[scenario_id].record_types
        }
        records = await self._records.load(tx, wanted, types)
        acting = await self._partners.sub_parties_by_id(
            tx, {(consent.partner_id, consent.sub_party_id) for consent in consents.values()}
        )
        drafts: list[_Draft] = []
        for place, (check_id, (index, ask)) in enumerate(zip(new_ids("chk", at, len(todo)), todo.items(), strict=True)):
            if breathe and not place % BREATH:
                await asyncio.sleep(0)
            consent = consents.get(ask.request.consent_id)
            if consent is None or not _may_name(ask, consent):
                results[index] = Refused(Code.NOT_FOUND, source="/consent_id")
                continue
            client, scenario = clients.get(ask.client_id), latest.get(consent.scenario_id)
            code = self._refusal(ask, consent, client, acting.get(consent.sub_party_id or ""), scenario, at)
            if code is not None:
                drafts.append(self._refuse(index, ask, consent, code, at, check_id))
                continue
            assert client is not None, "else it isn't entitled"
            assert scenario is not None, "else the consent is outdated"
            assert consent.subject_id is not None, "else it was never given"
            known = records[consent.subject_id, scenario.id]
            disclosure = disclose(scenario, known, at, consent.units, client.scenarios[scenario.id])
            drafts.append(self._answer(index, ask, consent, scenario, disclosure, at, check_id))
            consents[consent.id] = spend(consent, at)
        return drafts

    def _refusal(
        self,
        ask: Ask,
        consent: Consent,
        client: Client | None,
        sub_party: SubParty | None,
        scenario: Scenario | None,
        at: datetime,
    ) -> Code | None:
        """Why this ask gets no answer; ``None`` when it gets one."""
        if (code := _standing(client)) is not None:
            return code
        assert client is not None
        if (code := refusal(consent, ask.request.scenario, at)) is not None:
            return code
        if consent.scenario_id not in client.scenarios or (sub_party is not None and not sub_party.active):
            return Code.NOT_ENTITLED
        consented = self._scenarios.consented(consent.scenario_id, consent.scenario_version, consent.scenario_digest)
        if consented is None or scenario is None or self._scenarios.is_outdated(consented, scenario):
            return Code.CONSENT_OUTDATED
        return None

    def _answer(
        self,
        index: int,
        ask: Ask,
        consent: Consent,
        scenario: Scenario,
        disclosure: Disclosure,
        at: datetime,
        check_id: str,
    ) -> _Draft:
        assert consent.subject_id is not None
        assert consent.expires_at is not None
        as_of = whole_seconds(at)
        answer = Answer(
            id=check_id,
            scenario=ScenarioRef(scenario.id, scenario.version, scenario.digest),
            subject=self._subjects.pairwise(consent.subject_id, ask.partner_id),
            outcome=disclosure.outcome,
            criteria=disclosure.criteria,
            disclosed=disclosure.disclosed,
            salts=new_salts(disclosure),
            as_of=as_of,
            valid_until=min(as_of + scenario.answer_ttl, consent.expires_at),
            consent_expires_at=consent.expires_at,
        )
        entry = check_entry(
            answer,
            consent_id=consent.id,
            partner_id=ask.partner_id,
            sub_party_id=consent.sub_party_id,
            reference=ask.request.reference,
        )
        return _Draft(
            index=index, ask=ask, check_id=check_id, subject_id=consent.subject_id, entry=entry, answer=answer
        )

    def _refuse(self, index: int, ask: Ask, consent: Consent, code: Code, at: datetime, check_id: str) -> _Draft:
        assert consent.subject_id is not None
        subject = self._subjects.pairwise(consent.subject_id, consent.partner_id)
        entry = refusal_entry(check_id, code, ask, subject, whole_seconds(at), sub_party_id=consent.sub_party_id)
        return _Draft(index=index, ask=ask, check_id=check_id, subject_id=consent.subject_id, entry=entry, code=code)

    async def _commit(
        self,
        tx: AsyncConnection,
        drafts: Sequence[_Draft],
        consents: Mapping[str, Consent],
        at: datetime,
        results: dict[int, Result],
    ) -> None:
        """Stores the results; the ledger comes last, since its head is the lock that everyone waits for.

        ``consents`` are as the drafts leave them.
        """
        if not drafts:
            return
        spent = Counter(draft.ask.request.consent_id for draft in drafts if draft.answer is not None)
        await consents_repo.count_uses(tx, spent, at)
        used_up = [consents[consent_id] for consent_id in sorted(spent) if consents[consent_id].once]
        await outbox.put(tx, [told(CONSUMED, consent, at) for consent in used_up], at)
        await idempotency.store(
            tx,
            [
                Use(draft.ask.partner_id, draft.ask.idempotency_key, draft.ask.digest, draft.check_id)
                for draft in drafts
                if draft.ask.idempotency_key is not None
            ],
            at,
        )
        kinds = ("refusal" if draft.answer is None else "check" for draft in drafts)
        entries = [NewEntry(kind, draft.check_id, draft.entry) for kind, draft in zip(kinds, drafts, strict=True)]
        receipts = await self._ledger.append(tx, entries, at)
        rows = [_row(draft, receipt, at) for draft, receipt in zip(drafts, receipts, strict=True)]
        await repo.add(tx, rows)
        for draft, row in zip(drafts, rows, strict=True):
            results[draft.index] = _result(row)


def _may_name(ask: Ask, consent: Consent) -> bool:
    """Whether the consent exists for this caller: it was given, to its partner, and no other one binds the token."""
    return consent.given and consent.partner_id == ask.partner_id and ask.bound_consent_id in {None, consent.id}


def _row(draft: _Draft, receipt: str, at: datetime) -> CheckRow:
    ask, answer = draft.ask, draft.answer
    return CheckRow(
        id=draft.check_id,
        partner_id=ask.partner_id,
        client_id=ask.client_id,
        subject_id=draft.subject_id,
        consent_id=ask.request.consent_id,
        scenario_id=ask.request.scenario,
        scenario_version=None if answer is None else answer.scenario.version,
        reference=ask.request.reference,
        outcome=None if answer is None else answer.outcome,
        refusal=draft.code,
        body=None if answer is None else msgspec.json.encode(CheckBody(answer, receipt)).decode(),
        created_at=at,
    )


_NOT_AGAIN: Final = {
    ConsentState.WITHDRAWN: Code.CONSENT_WITHDRAWN,
    ConsentState.PAUSED: Code.CONSENT_PAUSED,
}
"""The states of a consent in which its answers aren't given again. Receipts that the partner holds stay valid."""


def _standing(client: Client | None) -> Code | None:
    """Why this client may do nothing; ``None`` when it may act."""
    if client is None or not client.active:
        return Code.NOT_ENTITLED
    return None if client.owner.active else Code.PARTNER_SUSPENDED


def _barred(row: CheckRow, client: Client | None) -> Refused | None:
    """Why this client isn't given this check's answer; ``None`` when it is."""
    if row.refusal is not None:
        return None
    if (code := _standing(client)) is not None:
        return Refused(code, row.id)
    assert client is not None
    return None if row.scenario_id in client.scenarios else Refused(Code.NOT_ENTITLED, row.id)


def _result(row: CheckRow) -> Result:
    """What this check gave."""
    if row.refusal is not None:
        return Refused(Code(row.refusal), row.id)
    assert row.body is not None
    assert row.outcome is not None
    return Answered(row.id, row.body.encode(), row.outcome)
