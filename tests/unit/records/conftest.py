"""What the tests of records share."""

import functools
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from xinyi.catalogue.service import Catalogue
from xinyi.kernel.text import Text
from xinyi.partners.service import PartnerService
from xinyi.records.amendments import Amendments
from xinyi.records.deadlines import Deadlines
from xinyi.records.disputes import DisputeService
from xinyi.records.imports import RecordImports
from xinyi.records.keeping_off import KeptOff
from xinyi.records.model import RecordBatch, RowVerdict, StoredRecord
from xinyi.records.rows import Format
from xinyi.records.service import RecordService
from xinyi.sandbox import identities
from xinyi.storage.database import Database
from xinyi.subjects.model import Identifier
from xinyi.subjects.service import SubjectService
from xinyi.web.outbound import Outbound

COMPANY = identities.company(1, 1)
OTHER = identities.company(1, 2)


def row(**changes: Any) -> dict[str, Any]:
    """A row that is right, but for the changes."""
    return {
        "subject": COMPANY.value,
        "record_type": "SOCINS_PAID",
        "source_ref": "ref-1",
        "region": "990001",
        "observed_at": "2026-10-28T09:00:00+08:00",
        "fields": {"months": 12, "as_of": "2026-09-30"},
        **changes,
    }


def ndjson(rows: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in rows)


_catalogue = functools.cache(Catalogue.load)


class Desk:
    """One source and its imports on a fresh database."""

    def __init__(self, database: Database, folder: Path, *, sandbox: bool = True) -> None:
        self.clock = ManualClock()
        self.database = database
        self.catalogue = _catalogue()
        self.partners = PartnerService(self.clock, Outbound(), sandbox=True)
        self.subjects = SubjectService(fresh_keys(folder), self.clock, synthetic=sandbox)
        self.kept_off = KeptOff(self.clock, subjects=self.subjects, catalogue=self.catalogue)
        self.records = RecordService(self.catalogue, self.clock, self.kept_off)
        self.imports = RecordImports(
            database,
            self.clock,
            subjects=self.subjects,
            catalogue=self.catalogue,
            partners=self.partners,
            kept_off=self.kept_off,
        )
        self.amendments = Amendments(
            self.clock,
            subjects=self.subjects,
            catalogue=self.catalogue,
            partners=self.partners,
            kept_off=self.kept_off,
        )
        self.disputes = DisputeService(self.clock, Deadlines.load(), self.amendments)

    async def add_source(self, source_id: str, *record_types: str) -> None:
        async with self.database.transaction() as tx:
            await self.partners.add_source(tx, source_id, Text("示例来源", "Sample"), record_types)

    async def send(
        self, data: bytes | Iterable[dict[str, Any]], format_: Format = Format.NDJSON, source: str = "bureau"
    ) -> RecordBatch:
        """Imports the data as a new batch."""
        batch = await self.imports.open(source, format_, None)
        return await self.imports.run(batch, io.BytesIO(data if isinstance(data, bytes) else ndjson(data)))

    async def verdicts(self, data: bytes | Iterable[dict[str, Any]], *args: Any, **more: Any) -> list[RowVerdict]:
        """Imports the data and gives the report."""
        batch = await self.send(data, *args, **more)
        return [verdict async for verdict in self.imports.report(batch.id)]

    async def verdict(self, one: dict[str, Any]) -> RowVerdict:
        [verdict] = await self.verdicts([one])
        return verdict

    async def of(self, identifier: Identifier) -> list[StoredRecord]:
        """What is stored about a subject."""
        async with self.database.read() as tx:
            subject_id = await self.subjects.find(tx, identifier)
            return [] if subject_id is None else await self.records.of_subject(tx, subject_id)


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> Desk:
    desk = Desk(database, tmp_path / "keys")
    await desk.add_source("bureau", "SOCINS_PAID", "HPF_PAID", "REDLIST", "HONOUR", "TAX_RATING", "BLOOD")
    return desk
