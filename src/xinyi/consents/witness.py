"""Each consent's row, held against the newest entry that the ledger has about it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..ledger.witness import Disagreement, Told
from ..scenarios.registry import Registry
from . import repo
from .model import Consent, ConsentState, EndReason, Event, Party
from .tables import consents

Pairwise = Callable[[str, str], str]
"""The id by which a partner knows a subject, of their ids."""

_ENDED_AS: Final = {
    Event.REJECTED: ConsentState.REJECTED,
    Event.WITHDRAWN: ConsentState.WITHDRAWN,
    Event.EXPIRED: ConsentState.EXPIRED,
}


class _Scenario(Struct, frozen=True):
    id: str
    version: int
    digest: str


class _Entry(Struct, frozen=True):
    """What an entry about a consent says."""

    event: Event
    partner_id: str
    scenario: _Scenario
    sub_party: str | None
    subject: str | None
    representative: str | None
    units: tuple[str, ...]
    notice_digest: str | None
    text_digest: str | None
    authorised_at: datetime | None
    expires_at: datetime | None
    paused_at: datetime | None
    at: datetime
    ended_at: datetime | None
    ended_by: Party | None
    reason: EndReason | None


class ConsentRows:
    """``pairwise`` is None for whoever verifies without the installation's secrets."""

    kinds = frozenset({"consent"})
    table = consents.name

    def __init__(self, scenarios: Registry, pairwise: Pairwise | None) -> None:
        self._scenarios = scenarios
        self._pairwise = pairwise

    async def compare(self, tx: AsyncConnection, told: Sequence[Told]) -> Disagreement | None:
        rows = await repo.load(tx, {each.id for each in told})
        for each in told:
            consent = rows.get(each.id)
            if consent is None:
                return Disagreement(each, "")
            if what := next(self._differences(msgspec.json.decode(each.body, type=_Entry), consent), ""):
                return Disagreement(each, what)
        return None

    async def count(self, tx: AsyncConnection) -> int:
        return (await tx.execute(select(func.count()).select_from(consents))).scalar_one()

    def _differences(self, entry: _Entry, consent: Consent) -> Iterator[str]:
        """The names of what differs."""
        scenario = _Scenario(consent.scenario_id, consent.scenario_version, consent.scenario_digest)
        pairs: dict[str, tuple[Any, Any]] = {
            "partner_id": (entry.partner_id, consent.partner_id),
            "scenario": (entry.scenario, scenario),
            "sub_party_id": (entry.sub_party, consent.sub_party_id),
            "units": (entry.units, consent.units),
            "notice_digest": (entry.notice_digest, consent.notice_digest),
            "text_digest": (entry.text_digest, consent.text_digest),
            "authorised_at": (entry.authorised_at, consent.authorised_at),
            "expires_at": (entry.expires_at, consent.expires_at),
            "paused_at": (entry.paused_at, consent.paused_at),
        }
        if self._pairwise is not None:
            subject = None
            if consent.given and consent.subject_id is not None:
                subject = self._pairwise(consent.subject_id, consent.partner_id)
            pairs["subject_id"] = (entry.subject, subject)
            representative = None
            if consent.representative_id is not None and consent.subject_id is not None:
                representative = self._pairwise(consent.representative_id, consent.subject_id)
            pairs["representative_id"] = (entry.representative, representative)
        consented = self._scenarios.consented(*msgspec.structs.astuple(scenario))
        if consented is not None:
            pairs["form"] = (consented.consent.form, consent.form)
            pairs["uses"] = (consented.consent.uses, consent.uses)
        yield from (name for name, (said, stored) in pairs.items() if said != stored)
        if _end(consent) not in _ends(entry, consent):
            yield "how it ended"


_End = tuple[ConsentState | None, datetime | None, Party | None, EndReason | None]


def _end(consent: Consent) -> _End:
    return (consent.ended_as, consent.ended_at, consent.ended_by, consent.end_reason)


def _ends(entry: _Entry, consent: Consent) -> set[_End]:
    """How the consent may have ended, after this entry: its use leaves no entry of its own, but one of the check."""
    if entry.event in _ENDED_AS:
        return {(_ENDED_AS[entry.event], entry.ended_at, entry.ended_by, entry.reason)}
    if consent.once and consent.use_count and entry.authorised_at is not None and entry.paused_at is None:
        return {(ConsentState.CONSUMED, consent.ended_at, Party.PARTNER, EndReason.USED_UP)}
    return {(None, None, None, None)}
