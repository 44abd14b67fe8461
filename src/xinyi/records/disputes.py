"""Contested records (异议): from the moment a subject contests one it counts nowhere, until its source has answered.

Nothing outside shows it: to a check a contested record looks like one that isn't there. An answer that is late changes
nothing for the subject: the record goes on not counting.
"""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id, new_id
from ..subjects.scanning import holds_identifier
from . import repo, turns
from .amendments import Amendments, Correction
from .deadlines import Deadlines
from .model import Dispute, DisputeState, Settler

MAX_WORDS: Final = 500
"""Characters of what a subject says, and of what they are answered."""


class DisputeService:
    """Disputes. Every method works inside the caller's unit of work."""

    def __init__(self, clock: Clock, deadlines: Deadlines, amendments: Amendments) -> None:
        self._clock = clock
        self._deadlines = deadlines
        self._amendments = amendments

    async def open(self, tx: AsyncConnection, subject_id: str, record_id: str, statement: str | None = None) -> Dispute:
        """Contests a record: it stops to count at once. A record that is contested already keeps its dispute.

        Raises ``XinyiError``: NOT_FOUND when the subject has no such record, or INVALID for the statement.
        """
        now = self._clock.now()
        words = _words(statement, "statement", now)
        await turns.of_records(tx, [record_id])
        record = await repo.one_of_subject(tx, subject_id, record_id)
        if record is None:
            raise XinyiError(Code.NOT_FOUND)
        if (found := await repo.open_dispute_about(tx, record.id)) is not None:
            return found
        dispute = Dispute(
            id=new_id("dsp", now),
            subject_id=subject_id,
            record_id=record.id,
            record_type=record.record_type,
            source_id=record.source_id,
            source_ref=record.source_ref,
            statement=words,
            opened_at=whole_seconds(now),
            due_at=self._deadlines.due(record.region, now),
            state=DisputeState.OPEN,
        )
        await repo.add_dispute(tx, dispute)
        await repo.set_disputed(tx, record.id, now)
        return dispute

    async def take_back(self, tx: AsyncConnection, subject_id: str, dispute_id: str) -> Dispute:
        """The subject contests the record no more: it counts again. Doing it again changes nothing.

        Raises ``XinyiError``: NOT_FOUND, or WRONG_STATE when it was answered meanwhile.
        """
        dispute = await self._locked(tx, dispute_id)
        if dispute.subject_id != subject_id:
            raise XinyiError(Code.NOT_FOUND)
        if dispute.state is DisputeState.TAKEN_BACK:
            return dispute
        _require_open(dispute)
        await self._count_again(tx, dispute, DisputeState.TAKEN_BACK, Settler.SUBJECT, None)
        return await self._locked(tx, dispute_id)

    async def answer(
        self,
        tx: AsyncConnection,
        dispute_id: str,
        outcome: DisputeState,
        words: str,
        *,
        by: Settler,
        source_id: str | None = None,
        correction: Correction | None = None,
    ) -> Dispute:
        """Settles a dispute: ``upheld`` (the record stands), ``corrected`` (as ``correction`` says) or ``withdrawn``.

        ``words`` are shown to the subject. ``source_id`` is the source that answers; the operator answers without one.
        Raises ``XinyiError``: NOT_FOUND, also when it is about another source's record; WRONG_STATE when it is settled;
        INVALID, or as :meth:`Amendments.correct`.
        """
        told = _words(words, "answer", self._clock.now())
        if told is None:
            raise XinyiError(Code.INVALID, "the subject is told why", source="/answer")
        if (outcome is DisputeState.CORRECTED) is not (correction is not None):
            raise XinyiError(Code.INVALID, "a correction comes with `corrected` alone", source="/correction")
        dispute = await self.find(tx, dispute_id)
        if source_id not in {None, dispute.source_id}:
            raise XinyiError(Code.NOT_FOUND)
        await turns.of_source(tx, dispute.source_id)
        dispute = await self._locked(tx, dispute_id)
        _require_open(dispute)
        match outcome:
            case DisputeState.UPHELD:
                await self._count_again(tx, dispute, outcome, by, told)
            case DisputeState.CORRECTED:
                assert correction is not None
                await self._amendments.correct(tx, dispute.source_id, dispute.record_id, correction, by=by, answer=told)
            case DisputeState.WITHDRAWN:
                await self._amendments.withdraw(tx, dispute.source_id, dispute.record_id, by=by, answer=told)
            case _:
                raise XinyiError(Code.INVALID, "upheld, corrected or withdrawn", source="/outcome")
        return await self._locked(tx, dispute_id)

    async def find(self, tx: AsyncConnection, dispute_id: str) -> Dispute:
        """Raises ``XinyiError(NOT_FOUND)``."""
        found = await repo.dispute(tx, dispute_id) if is_id("dsp", dispute_id) else None
        if found is None:
            raise XinyiError(Code.NOT_FOUND)
        return found

    async def of_subject(self, tx: AsyncConnection, subject_id: str) -> list[Dispute]:
        """Everything that the subject ever contested, newest first."""
        return (await repo.list_disputes(tx, subject_id=subject_id, limit=_ALL))[::-1]

    async def of_source(
        self, tx: AsyncConnection, source_id: str, *, only_open: bool, after: str, limit: int
    ) -> list[Dispute]:
        """The next disputes about a source's records, oldest first."""
        return await repo.list_disputes(tx, source_id=source_id, only_open=only_open, after=after, limit=limit)

    async def all(self, tx: AsyncConnection, *, only_open: bool, after: str = "", limit: int) -> list[Dispute]:
        """The next disputes of this installation, oldest first: for its operator."""
        return await repo.list_disputes(tx, only_open=only_open, after=after, limit=limit)

    async def _locked(self, tx: AsyncConnection, dispute_id: str) -> Dispute:
        dispute = await self.find(tx, dispute_id)
        await turns.of_records(tx, [dispute.record_id])
        return await self.find(tx, dispute_id)

    async def _count_again(
        self, tx: AsyncConnection, dispute: Dispute, state: DisputeState, by: Settler, answer: str | None
    ) -> None:
        await repo.settle(tx, [dispute.record_id], state, by, whole_seconds(self._clock.now()), answer)
        await repo.set_disputed(tx, dispute.record_id, None)


_ALL: Final = 10_000


def _require_open(dispute: Dispute) -> None:
    if not dispute.open:
        raise XinyiError(Code.WRONG_STATE, f"the dispute is {dispute.state.value}")


def _words(text: str | None, member: str, now: datetime) -> str | None:
    """Free text on its way into the database, where it stands in clear. Raises ``XinyiError(INVALID)``."""
    words = (text or "").replace("\r\n", "\n").strip()
    if not words:
        return None
    if len(words) > MAX_WORDS or not all(c.isprintable() or c == "\n" for c in words):
        raise XinyiError(Code.INVALID, f"at most {MAX_WORDS} printable characters", source=f"/{member}")
    if holds_identifier(words, now):
        raise XinyiError(Code.INVALID, "leave identifiers out", source=f"/{member}")
    return words
