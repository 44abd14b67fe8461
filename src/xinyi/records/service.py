"""What others may do with records: load them for checks, show them to their subject, and obey what the subject says."""

from collections.abc import Collection

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.service import Catalogue
from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from . import repo
from .keeping_off import KeptOff
from .model import Record, StoredRecord, Wish, Withholding


class RecordService:
    """Positive records. Every method works inside the caller's unit of work."""

    def __init__(self, catalogue: Catalogue, clock: Clock, kept_off: KeptOff) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._kept_off = kept_off

    async def load(
        self, tx: AsyncConnection, wanted: Collection[tuple[str, str]], types: Collection[str]
    ) -> dict[tuple[str, str], list[Record]]:
        """The records of ``types`` for each wanted (subject id, scenario id), flagged as that scenario may see them.

        Every pair has an entry, empty when there is nothing. Two queries, whatever the number.
        """
        subject_ids = {subject_id for subject_id, _ in wanted}
        found = await repo.load_current(tx, subject_ids, set(types))
        withheld = await repo.load_withholdings(tx, subject_ids)
        return {
            (subject_id, scenario_id): [
                replace(record, withheld=True)
                if Withholding(scenario_id, record.record_type) in withheld.get(subject_id, ())
                else record
                for record in found.get(subject_id, ())
            ]
            for subject_id, scenario_id in wanted
        }

    async def of_subject(self, tx: AsyncConnection, subject_id: str) -> list[StoredRecord]:
        """Everything that is recorded about a subject, newest observation first."""
        return await repo.of_subject(tx, subject_id)

    async def suppress(self, tx: AsyncConnection, subject_id: str, record_id: str) -> None:
        """Keeps an honour off the record (深圳 39): the fact, by whatever record and source it is and will be told.

        Raises ``XinyiError``: NOT_FOUND, or WRONG_STATE when the data list doesn't leave that to the subject.
        """
        record = await self._own(tx, subject_id, record_id)
        if not self._catalogue.get(record.record_type).suppressible:
            raise XinyiError(Code.WRONG_STATE, "records of this type can't be kept off the record")
        await self._kept_off.keep_off(tx, subject_id, record)

    async def unsuppress(self, tx: AsyncConnection, subject_id: str, record_id: str) -> None:
        """Lets a record count again, and whatever else tells the same fact. Raises ``XinyiError(NOT_FOUND)``."""
        await self._kept_off.count_again(tx, subject_id, await self._own(tx, subject_id, record_id))

    async def wishes_of(self, tx: AsyncConnection, subject_id: str) -> list[Wish]:
        """What a subject keeps off the record, whether or not it is there now, oldest wish first."""
        return await self._kept_off.of_subject(tx, subject_id)

    async def withholdings_of(self, tx: AsyncConnection, subject_id: str) -> list[Withholding]:
        """What a subject withholds from which scenario."""
        return sorted((await repo.load_withholdings(tx, [subject_id])).get(subject_id, ()))

    async def withhold(self, tx: AsyncConnection, subject_id: str, scenario_id: str, record_type: str) -> None:
        """Keeps a record type from a scenario, whether or not such a record exists.

        The caller knows the scenario. Raises ``XinyiError(NOT_FOUND)`` for a record type that isn't in the data list.
        """
        withholding = Withholding(scenario_id, self._catalogue.get(record_type).code)
        await repo.add_withholding(tx, subject_id, withholding, self._clock.now())

    async def unwithhold(self, tx: AsyncConnection, subject_id: str, scenario_id: str, record_type: str) -> None:
        """Takes a withholding back, if there is one."""
        await repo.remove_withholding(tx, subject_id, Withholding(scenario_id, record_type))

    async def _own(self, tx: AsyncConnection, subject_id: str, record_id: str) -> StoredRecord:
        record = await repo.one_of_subject(tx, subject_id, record_id)
        if record is None:
            raise XinyiError(Code.NOT_FOUND)
        return record
