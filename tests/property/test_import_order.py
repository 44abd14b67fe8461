"""Imports: however rows are ordered, repeated and cut into files, the newest observations stand, once each."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pairs import Pair
from tests.unit.records.conftest import COMPANY, OTHER, Desk, row
from xinyi.storage.database import Database

REFS = ("a", "b", "c")


@st.composite
def observations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Observations of a few facts; those of one fact and one day say the same."""
    return [
        row(
            source_ref=ref,
            subject=(COMPANY if ref != "c" else OTHER).value,
            observed_at=f"2026-10-{day:02}",
            fields={"months": 10 * day + REFS.index(ref) + 1, "as_of": "2026-09-30"},
        )
        for ref, day in draw(st.lists(st.tuples(st.sampled_from(REFS), st.integers(1, 9)), min_size=1, max_size=12))
    ]


@settings(max_examples=25, deadline=None)
@given(observations(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_repetition_and_cuts_dont_matter(pair: Pair, rows: list[dict[str, Any]], random: Any, size: int) -> None:
    shuffled = rows + [row for row in rows if random.random() < 0.5]
    random.shuffle(shuffled)
    files = [shuffled[at : at + size] for at in range(0, len(shuffled), size)]
    newest = {
        ref: max((row for row in rows if row["source_ref"] == ref), key=lambda each: each["observed_at"])
        for ref in {row["source_ref"] for row in rows}
    }
    expected = {ref: each["fields"]["months"] for ref, each in newest.items()}

    assert asyncio.run(_stored_after(pair, [rows])) == expected
    assert asyncio.run(_stored_after(pair, files)) == expected
    assert asyncio.run(_stored_after(pair, [*files, rows, *files])) == expected


async def _stored_after(pair: Pair, files: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Imports the files, and gives the months of each fact; each fact is there once."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(pair.database_url(Path(folder)))
        try:
            desk = Desk(database, Path(folder) / "keys")
            await desk.add_source("bureau", "SOCINS_PAID")
            for rows in files:
                batch = await desk.send(rows)
                assert batch.rejected == 0
            stored = [*await desk.of(COMPANY), *await desk.of(OTHER)]
            assert len({record.source_ref for record in stored}) == len(stored)
            return {record.source_ref: record.fields["months"] for record in stored}
        finally:
            await database.close()
