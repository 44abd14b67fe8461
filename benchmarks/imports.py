"""An import of records against the database's own way to take the very same rows.

``python -m benchmarks.imports ROUND`` does both in one process, over an installation that ``XINYI_*`` variables name,
and prints the rows per second of each.
"""

import asyncio
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import delete, select

from xinyi.cli.collector import collect_seldom
from xinyi.kernel.clock import Clock
from xinyi.records.model import Verdict
from xinyi.records.rows import Format
from xinyi.records.tables import records
from xinyi.sandbox import identities
from xinyi.settings import load_settings
from xinyi.wiring import Services

from .bulk import Bulk
from .installation import Installation
from .processes import PYTHON, to_the_servers_core

SOURCE: Final = "tax"
COMPANIES: Final = 10_000
_REGION: Final = 2


class Rates(Struct):
    """Rows per second."""

    imported: float
    bare: float


def run(installation: Installation, number: int) -> Rates:
    """Both, on the server's core, with rows that no other ``number`` has."""
    done = subprocess.run(
        [*PYTHON, "benchmarks.imports", str(number)],
        env={**os.environ, **installation.environment},
        preexec_fn=to_the_servers_core,
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    return msgspec.json.decode(done.stdout, type=Rates)


async def _measure(number: int) -> Rates:
    settings = load_settings()
    services = Services.build(settings)
    collect_seldom()  # as the command does, and the server
    file = b"\n".join(map(msgspec.json.encode, _rows(services.clock, number)))
    async with services.opened():
        batch = await services.imports.open(SOURCE, Format.NDJSON, None)
        started = time.perf_counter()
        batch = await services.imports.run(batch, io.BytesIO(file))
        imported = time.perf_counter() - started
        if batch.accepted != batch.rows:
            raise RuntimeError(f"not every row is a new one: {batch.rows - batch.accepted} aren't {Verdict.ACCEPTED}")
        async with services.database.transaction() as tx:
            mine = records.c.source_ref.like(f"import-{number}-%")
            stored = [tuple(row) for row in await tx.execute(select(records).where(mine))]
            await tx.execute(delete(records).where(mine))
    bulk = Bulk(settings.effective_database_url)
    raw = [tuple(bulk.raw(column, value) for column, value in zip(records.c, row, strict=True)) for row in stored]
    started = time.perf_counter()
    await bulk.load(records, records.c.keys(), raw)
    return Rates(len(raw) / imported, len(raw) / (time.perf_counter() - started))


def _rows(clock: Clock, number: int) -> Iterator[dict[str, Any]]:
    """Two facts each about companies that nobody has told of yet."""
    observed = (clock.now() - timedelta(days=5)).date()
    for company in range(number * COMPANIES, (number + 1) * COMPANIES):
        subject = identities.company(_REGION, company).value
        common = {"subject": subject, "region": "990002", "observed_at": str(observed)}
        yield {
            **common,
            "record_type": "TAX_ONTIME",
            "source_ref": f"import-{number}-{company}-months",
            "fields": {"months": 14, "as_of": str(observed)},
        }
        yield {
            **common,
            "record_type": "TAX_RATING",
            "source_ref": f"import-{number}-{company}-grade",
            "fields": {"year": observed.year - 1, "grade": "A"},
        }


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_measure(int(sys.argv[1])))))
