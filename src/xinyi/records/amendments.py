"""What a source puts right after it has sent it: corrections, withdrawals and repair notices (信用修复).

What is taken back is gone: no row, no mark and no event says that it was there, and no partner hears of it. A check
reads the records each time, so the next one sees what is there now. What a subject keeps off the record stays off
(``keeping_off``).
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.service import Catalogue
from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id, new_id
from ..partners.service import PartnerService
from ..subjects.model import Identifier, SubjectKind
from ..subjects.service import SubjectService
from . import journal, repo, turns
from .checking import Checked, RowChecker
from .keeping_off import KeptOff
from .model import DisputeState, RowRefused, Settler, StoredRecord
from .rows import Row


class Correction(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a record says from now on, whole: it takes the place of what it said."""

    region: Annotated[str, Meta(max_length=6, description="By GB/T 2260.", examples=["990001"])]
    observed_at: Annotated[
        str,
        Meta(
            max_length=40,
            description="RFC 3339 with an offset, or a day in China; not before the observation that is there.",
            examples=["2026-10-28"],
        ),
    ]
    fields: Annotated[
        dict[str, str | int | bool],
        Meta(description="The facts, as the record type names them.", examples=[{"months": 24, "as_of": "2026-09-30"}]),
    ]
    valid_until: Annotated[str | None, Meta(description="When it stops to count by itself.", examples=[None])] = None


class RepairedRecord(Correction, frozen=True, kw_only=True):
    """One record that counts after a repair."""

    record_type: Annotated[str, Meta(max_length=64, description="The record type's code.", examples=["SOCINS_PAID"])]
    source_ref: Annotated[
        str, Meta(max_length=128, description="The source's own number for it.", examples=["2026-10-000017"])
    ]


class Repaired(Struct, frozen=True):
    """What a repair notice did to what the source had sent."""

    removed: Annotated[int, Meta(ge=0, description="Records that are gone.", examples=[1])]
    stored: Annotated[int, Meta(ge=0, description="Records that count from now on.", examples=[1])]


class Amendments:
    """Changes by sources to what they sent. Every method works inside the caller's unit of work."""

    def __init__(
        self,
        clock: Clock,
        *,
        subjects: SubjectService,
        catalogue: Catalogue,
        partners: PartnerService,
        kept_off: KeptOff,
    ) -> None:
        self._clock = clock
        self._subjects = subjects
        self._catalogue = catalogue
        self._partners = partners
        self._kept_off = kept_off

    async def listed(
        self, tx: AsyncConnection, source_id: str, *, source_ref: str | None = None, after: str = "", limit: int
    ) -> list[StoredRecord]:
        """The next of a source's own records, in the order of their refs."""
        return await repo.of_source(tx, source_id, source_ref=source_ref, after=after, limit=limit)

    async def correct(
        self,
        tx: AsyncConnection,
        source_id: str,
        record_id: str,
        correction: Correction,
        *,
        by: Settler = Settler.SOURCE,
        answer: str | None = None,
    ) -> StoredRecord:
        """Puts one of the source's records right; a dispute about it is settled by that.

        What says nothing new puts nothing right: a dispute stays open, and isn't answered by it. Raises ``XinyiError``:
        NOT_FOUND, also for another source's; INVALID for what can't be stored; WRONG_STATE when a newer observation is
        there.
        """
        subject_id, record = await self._locked(tx, source_id, record_id)
        row = await self._checked(
            tx,
            source_id,
            await self._subjects.reveal(tx, subject_id),
            record.record_type,
            record.source_ref,
            correction,
        )
        if row.observed_at < record.observed_at:
            raise XinyiError(Code.WRONG_STATE, "a newer observation is there", source="/observed_at")
        if row.digest == (await journal.known(tx, source_id, [row.source_ref]))[row.source_ref].digest:
            if answer is not None:
                raise XinyiError(Code.INVALID, "the record says so already: it is upheld", source="/correction")
            return record
        await self._kept_off.store(tx, [], [self._values(row, record.id, subject_id, source_id)])
        await self._settle(tx, [record.id], DisputeState.CORRECTED, by, answer)
        await repo.set_disputed(tx, record.id, None)
        return (await self._own(tx, source_id, record_id))[1]

    async def withdraw(
        self,
        tx: AsyncConnection,
        source_id: str,
        record_id: str,
        *,
        by: Settler = Settler.SOURCE,
        answer: str | None = None,
    ) -> None:
        """Takes one of the source's records back: it is gone. Raises ``XinyiError(NOT_FOUND)``."""
        await self._locked(tx, source_id, record_id)
        await self._remove(tx, [record_id], by, answer)

    async def repair(
        self,
        tx: AsyncConnection,
        source_id: str,
        subject: Identifier,
        record_types: Collection[str],
        records: Sequence[RepairedRecord],
    ) -> Repaired:
        """Drops everything of these types that the source had sent about the subject, and stores what counts now.

        For a subject that isn't known nothing happens, unless records come along. Raises ``XinyiError(INVALID)`` for
        what the source doesn't supply or what can't be stored.
        """
        await turns.of_source(tx, source_id)
        await self._require_supplied(tx, source_id, record_types)
        rows: list[Checked] = []
        for number, record in enumerate(records):
            if record.record_type not in record_types:
                raise XinyiError(Code.INVALID, "not among `record_types`", source=f"/records/{number}/record_type")
            rows.append(
                await self._checked(
                    tx, source_id, subject, record.record_type, record.source_ref, record, at=f"/records/{number}"
                )
            )
        refs = [row.source_ref for row in rows]
        if len(set(refs)) != len(refs):
            raise XinyiError(Code.INVALID, "a `source_ref` stands there twice", source="/records")
        subject_id = await (self._subjects.ensure(tx, subject) if rows else self._subjects.find(tx, subject))
        if subject_id is None:
            return Repaired(0, 0)
        held = await repo.ids_of(tx, source_id, subject_id, record_types)
        await turns.of_records(tx, held)
        await self._kept_off.take_turn(tx, [subject_id])
        known = await journal.known(tx, source_id, set(refs))
        for number, row in enumerate(rows):
            named = known.get(row.source_ref)
            if named is not None and (named.id not in held or named.record_type != row.record_type):
                raise XinyiError(Code.INVALID, "names another record", source=f"/records/{number}/source_ref")
        # A ref that is there already keeps its row.
        kept = {row.source_ref: known[row.source_ref].id for row in rows if row.source_ref in known}
        # And what they contest stays contested where the notice says nothing new.
        corrected = sorted(
            kept[row.source_ref]
            for row in rows
            if row.source_ref in kept and row.digest != known[row.source_ref].digest
        )
        gone = sorted(set(held) - set(kept.values()))
        await self._remove(tx, gone, Settler.SOURCE, None)
        await self._settle(tx, corrected, DisputeState.CORRECTED, Settler.SOURCE, None)
        for record_id in corrected:
            await repo.set_disputed(tx, record_id, None)
        now = self._clock.now()
        changed = [
            self._values(row, kept.get(row.source_ref, new_id("rec", now)), subject_id, source_id) for row in rows
        ]
        await self._kept_off.store(
            tx,
            [values for values in changed if values["source_ref"] not in kept],
            [values for values in changed if values["source_ref"] in kept],
        )
        return Repaired(len(gone), len(rows))

    async def _require_supplied(self, tx: AsyncConnection, source_id: str, record_types: Collection[str]) -> None:
        source = await self._partners.source(tx, source_id)
        if not source.active:
            raise XinyiError(Code.PARTNER_SUSPENDED, "the source is suspended")
        if not set(record_types) <= set(source.record_types):
            raise XinyiError(Code.INVALID, "the source doesn't supply one of these", source="/record_types")

    async def _checked(
        self,
        tx: AsyncConnection,
        source_id: str,
        subject: Identifier,
        record_type: str,
        source_ref: str,
        said: Correction,
        *,
        at: str = "",
    ) -> Checked:
        """As an import checks a row; ``at`` is where it stands in the request."""
        source = await self._partners.source(tx, source_id)
        checker = RowChecker(
            self._subjects, self._catalogue, source.record_types, from_text=False, now=self._clock.now()
        )
        row = Row(
            subject=subject.value,
            subject_kind=SubjectKind(subject.kind),
            record_type=record_type,
            source_ref=source_ref,
            region=said.region,
            observed_at=said.observed_at,
            valid_until=said.valid_until,
            fields=dict(said.fields),
        )
        try:
            return checker.check(row)
        except RowRefused as refused:
            member = "" if refused.member is None else "/" + refused.member.replace(".", "/")
            raise XinyiError(Code.INVALID, refused.code.value, source=at + member) from None

    async def _remove(self, tx: AsyncConnection, record_ids: Sequence[str], by: Settler, answer: str | None) -> None:
        await self._settle(tx, record_ids, DisputeState.WITHDRAWN, by, answer)
        await repo.delete_records(tx, record_ids)

    async def _settle(
        self, tx: AsyncConnection, record_ids: Sequence[str], state: DisputeState, by: Settler, answer: str | None
    ) -> None:
        await repo.settle(tx, record_ids, state, by, whole_seconds(self._clock.now()), answer)

    async def _locked(self, tx: AsyncConnection, source_id: str, record_id: str) -> tuple[str, StoredRecord]:
        """The source's own record, which neither an import nor a dispute changes until the transaction ends."""
        await turns.of_source(tx, source_id)
        await turns.of_records(tx, [record_id])
        return await self._own(tx, source_id, record_id)

    async def _own(self, tx: AsyncConnection, source_id: str, record_id: str) -> tuple[str, StoredRecord]:
        found = await repo.one(tx, record_id) if is_id("rec", record_id) else None
        if found is None or found[1].source_id != source_id:
            raise XinyiError(Code.NOT_FOUND)
        return found

    def _values(self, row: Checked, record_id: str, subject_id: str, source_id: str) -> dict[str, Any]:
        return {
            "id": record_id,
            "subject_id": subject_id,
            "record_type": row.record_type,
            "source_id": source_id,
            "source_ref": row.source_ref,
            "region": row.region,
            "observed_at": row.observed_at,
            "valid_until": row.valid_until,
            "fields": row.fields,
            "digest": row.digest,
            "disputed_at": None,
            "suppressed_at": None,
            "imported_at": self._clock.now(),
        }
