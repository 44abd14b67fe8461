"""Each way to tamper with a log, planted and named: in the database and in an exported file."""

# ruff: noqa: S608  # the statements are those of someone who tampers

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.support.keys import fresh_keys
from tests.support.ledger import Log, entry
from tests.support.pairs import Pair
from xinyi.kernel.canonical import b64url, unb64url
from xinyi.ledger.checkpoint import CheckpointKeys
from xinyi.ledger.diagnosis import FaultKind
from xinyi.ledger.export import NotAnExport, export_lines
from xinyi.ledger.model import Checkpoint
from xinyi.ledger.service import LedgerService
from xinyi.ledger.tree import EMPTY, leaf_hash
from xinyi.ledger.verify import Report, verify_database, verify_export
from xinyi.storage.database import Database
from xinyi.storage.keys import KeyRing

pytestmark = pytest.mark.anyio


async def verify(log: Log, known: Sequence[Checkpoint] = ()) -> Report:
    async with log.database.read() as tx:
        return await verify_database(tx, CheckpointKeys(log.ledger.jwks()), known)


async def exported(log: Log) -> list[bytes]:
    async with log.database.read() as tx:
        return [line async for line in export_lines(tx)]


def verify_lines(log: Log, lines: Sequence[bytes], known: Sequence[Checkpoint] = ()) -> Report:
    return verify_export(lines, CheckpointKeys(log.ledger.jwks()), known)


async def latest(log: Log) -> Checkpoint:
    async with log.database.read() as tx:
        return log.ledger.read_checkpoint(await log.ledger.latest_checkpoint(tx))


def named(report: Report) -> tuple[FaultKind, int | None, int | None] | None:
    fault = report.fault
    return None if fault is None else (fault.kind, fault.first, fault.last)


def sql_hash(body: bytes) -> str:
    return f"x'{leaf_hash(body).hex()}'"


def sql_body(body: bytes) -> str:
    return f"x'{body.hex()}'"


# --- a log as it should be


async def test_an_empty_log_is_sound(log: Log) -> None:
    report = await verify(log)
    assert named(report) is None
    assert report.entries == 0
    assert await exported(log) == []


@pytest.mark.parametrize("sizes", [[1], [1, 1, 1], [7], [3, 1, 8, 64, 1], [1200, 1, 900]])
async def test_a_log_is_sound_however_it_was_made(log: Log, sizes: list[int]) -> None:
    await log.append(*sizes)
    report = await verify(log, [await latest(log)])
    assert named(report) is None
    assert (report.entries, report.checkpoints, report.erased) == (sum(sizes), len(sizes), 0)
    assert report.root == (await latest(log)).root_hash
    assert verify_lines(log, await exported(log), [await latest(log)]) == report


async def test_the_log_stays_sound_when_it_grew_by_a_rolled_back_batch_in_between(log: Log) -> None:
    async def fail() -> None:
        async with log.database.transaction() as tx:
            await log.ledger.append(tx, [entry(100)], log.clock.now())
            raise ZeroDivisionError

    await log.append(2)
    with pytest.raises(ZeroDivisionError):
        await fail()
    await log.append(1)
    assert named(await verify(log)) is None


async def test_an_entry_erased_by_law_reads_erased(log: Log) -> None:
    await log.append(4, 2)
    await log.erase(entry(2).id)
    await log.append(1)
    await log.erase(entry(5).id)
    report = await verify(log)
    assert named(report) is None
    assert report.erased == 2
    assert verify_lines(log, await exported(log)) == report


async def test_progress_counts_every_entry_and_every_byte(log: Log) -> None:
    await log.append(1000, 1000, 1)
    lines = await exported(log)
    seen: list[int] = []
    async with log.database.read() as tx:
        await verify_database(tx, CheckpointKeys(log.ledger.jwks()), progress=seen.append)
    assert sum(seen) == 2001
    seen.clear()
    verify_export(lines, CheckpointKeys(log.ledger.jwks()), progress=seen.append)
    assert sum(seen) == sum(map(len, lines))


# --- what the database may be made to say

FORGED_BODY = b'{"kind":"sample","id":"chk_00000000000000000000000005","salt":"forged"}'


async def test_an_edited_body_is_named(log: Log) -> None:
    await log.append(4, 4)
    await log.sql(f"UPDATE ledger_entries SET body = {sql_body(FORGED_BODY)} WHERE leaf_index = 5")
    assert named(await verify(log)) == (FaultKind.EDITED, 5, 5)


async def test_an_edited_leaf_hash_is_named(log: Log) -> None:
    await log.append(4, 4)
    await log.sql("UPDATE ledger_leaves SET leaf_hash = zeroblob(32) WHERE leaf_index = 5")
    assert named(await verify(log)) == (FaultKind.EDITED, 5, 5)


async def test_an_edited_label_is_named(log: Log) -> None:
    await log.append(8)
    await log.sql("UPDATE ledger_leaves SET kind = 'consent' WHERE leaf_index = 3")
    assert named(await verify(log)) == (FaultKind.EDITED, 3, 3)


async def test_an_edit_with_a_fitting_hash_is_named_by_its_checkpoint(log: Log) -> None:
    await log.append(*[1] * 8)
    await log.sql(
        f"UPDATE ledger_entries SET body = {sql_body(FORGED_BODY)} WHERE leaf_index = 5",
        f"UPDATE ledger_leaves SET leaf_hash = {sql_hash(FORGED_BODY)} WHERE leaf_index = 5",
    )
    assert named(await verify(log)) == (FaultKind.EDITED, 5, 5)


async def test_an_edit_with_a_fitting_hash_inside_a_batch_is_narrowed_to_a_pair_by_the_stored_nodes(log: Log) -> None:
    await log.append(2, 40, 3)
    await log.sql(
        f"UPDATE ledger_entries SET body = {sql_body(FORGED_BODY)} WHERE leaf_index = 5",
        f"UPDATE ledger_leaves SET leaf_hash = {sql_hash(FORGED_BODY)} WHERE leaf_index = 5",
    )
    assert named(await verify(log)) == (FaultKind.EDITED, 4, 5)


async def test_stored_nodes_that_were_tampered_with_too_never_mislead(log: Log) -> None:
    await log.append(2, 40, 3)
    await log.sql(
        f"UPDATE ledger_entries SET body = {sql_body(FORGED_BODY)} WHERE leaf_index = 5",
        f"UPDATE ledger_leaves SET leaf_hash = {sql_hash(FORGED_BODY)} WHERE leaf_index = 5",
        "UPDATE ledger_nodes SET hash = zeroblob(32) WHERE level = 1 AND position = 1",
    )
    assert named(await verify(log)) == (FaultKind.EDITED, 2, 41)


@pytest.mark.parametrize("tables", [["leaves"], ["entries"], ["leaves", "entries"]])
async def test_a_deleted_entry_is_named(log: Log, tables: list[str]) -> None:
    await log.append(4, 4)
    await log.sql(*(f"DELETE FROM ledger_{table} WHERE leaf_index = 5" for table in tables))
    assert named(await verify(log)) == (FaultKind.DELETED, 5, 5)


async def test_deleted_entries_are_named_when_each_has_its_own_checkpoint(log: Log) -> None:
    await log.append(*[1] * 8)
    await log.sql("DELETE FROM ledger_leaves WHERE leaf_index IN (4, 5)")
    assert named(await verify(log)) == (FaultKind.DELETED, 4, 5)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1] * 8, (FaultKind.DELETED, 4, 4)),
        ([3, 3, 2], (FaultKind.DELETED, 4, 5)),
        ([8], (FaultKind.DELETED, 4, 5)),
    ],
)
async def test_a_deletion_that_closes_the_gap_is_named(
    log: Log, sizes: list[int], expected: tuple[FaultKind, int, int]
) -> None:
    await log.append(*sizes)
    await log.sql(
        *(f"DELETE FROM ledger_{table} WHERE leaf_index = 4" for table in ("leaves", "entries")),
        *(
            f"UPDATE ledger_{table} SET leaf_index = leaf_index - 1 WHERE leaf_index = {index}"
            for table in ("leaves", "entries")
            for index in range(5, 8)
        ),
    )
    assert named(await verify(log)) == expected


@pytest.mark.parametrize("sizes", [[1] * 12, [12], [4, 4, 4], [5, 1, 6]])
@pytest.mark.parametrize(("one", "other"), [(5, 6), (2, 9)])
async def test_entries_that_changed_places_are_named(log: Log, sizes: list[int], one: int, other: int) -> None:
    await log.append(*sizes)
    for table in ("leaves", "entries"):
        await log.sql(
            f"UPDATE ledger_{table} SET leaf_index = -1 WHERE leaf_index = {one}",
            f"UPDATE ledger_{table} SET leaf_index = {one} WHERE leaf_index = {other}",
            f"UPDATE ledger_{table} SET leaf_index = {other} WHERE leaf_index = -1",
        )
    assert named(await verify(log)) == (FaultKind.REORDERED, one, one)


async def test_bodies_that_changed_places_are_named(log: Log) -> None:
    await log.append(4, 4)
    await log.sql(
        "UPDATE ledger_entries SET leaf_index = -1 WHERE leaf_index = 2",
        "UPDATE ledger_entries SET leaf_index = 2 WHERE leaf_index = 6",
        "UPDATE ledger_entries SET leaf_index = 6 WHERE leaf_index = -1",
    )
    assert named(await verify(log)) == (FaultKind.REORDERED, 2, 2)


@pytest.mark.parametrize("sizes", [[1] * 8, [8], [3, 3, 2]])
async def test_an_inserted_entry_is_named(log: Log, sizes: list[int]) -> None:
    await log.append(*sizes)
    for table in ("leaves", "entries"):
        await log.sql(
            *(
                f"UPDATE ledger_{table} SET leaf_index = {index + 1} WHERE leaf_index = {index}"
                for index in range(7, 3, -1)
            )
        )
    await log.sql(
        "INSERT INTO ledger_leaves SELECT log_id, 4, "
        f"{sql_hash(FORGED_BODY)}, 'sample', 'chk_00000000000000000000000005' FROM ledger_head",
        f"INSERT INTO ledger_entries SELECT log_id, 4, {sql_body(FORGED_BODY)}, NULL FROM ledger_head",
    )
    assert named(await verify(log)) == (FaultKind.INSERTED, 4, 4)


async def test_an_entry_appended_without_the_key_is_named(log: Log) -> None:
    await log.append(4)
    await log.sql(
        "INSERT INTO ledger_leaves SELECT log_id, 4, "
        f"{sql_hash(FORGED_BODY)}, 'sample', 'chk_00000000000000000000000005' FROM ledger_head",
        f"INSERT INTO ledger_entries SELECT log_id, 4, {sql_body(FORGED_BODY)}, NULL FROM ledger_head",
    )
    assert named(await verify(log)) == (FaultKind.INSERTED, 4, 4)


@pytest.mark.parametrize("checkpoints_too", [False, True])
async def test_a_truncated_log_is_named(log: Log, checkpoints_too: bool) -> None:
    await log.append(2, 2, 2)
    await log.sql("DELETE FROM ledger_leaves WHERE leaf_index >= 4", "DELETE FROM ledger_entries WHERE leaf_index >= 4")
    if checkpoints_too:
        await log.sql("DELETE FROM ledger_checkpoints WHERE tree_size > 4")
    assert named(await verify(log)) == (FaultKind.TRUNCATED, 4, 5)


async def set_back(log: Log, size: int) -> None:
    """A thorough truncation: nothing in the database remembers more than ``size`` entries."""
    growth = EMPTY.grow([leaf_hash(entry(i).body) for i in range(size)])
    beyond = [f"(level = {level} AND position >= {size >> level})" for level in range(1, 8)]
    await log.sql(
        f"DELETE FROM ledger_leaves WHERE leaf_index >= {size}",
        f"DELETE FROM ledger_entries WHERE leaf_index >= {size}",
        f"DELETE FROM ledger_checkpoints WHERE tree_size > {size}",
        f"DELETE FROM ledger_nodes WHERE {' OR '.join(beyond)}",
        f"UPDATE ledger_head SET tree_size = {size}, frontier = x'{growth.after.to_bytes().hex()}',"
        " checkpoint = (SELECT jws FROM ledger_checkpoints ORDER BY tree_size DESC LIMIT 1)",
    )


async def test_a_thorough_truncation_is_named_by_an_older_checkpoint(log: Log) -> None:
    await log.append(2, 2, 2)
    kept = await latest(log)
    await set_back(log, 4)
    assert named(await verify(log)) is None
    assert named(await verify(log, [kept])) == (FaultKind.TRUNCATED, 4, 5)


async def test_a_fork_that_the_server_was_led_to_sign_is_named_by_an_older_checkpoint(log: Log, keys: KeyRing) -> None:
    await log.append(2, 2, 2)
    kept = await latest(log)
    await set_back(log, 4)
    log.ledger = LedgerService(keys, "https://credit.example", log.clock)
    log.length = 100
    await log.append(5)
    assert named(await verify(log)) is None
    assert named(await verify(log, [kept])) == (FaultKind.REWRITTEN, 0, 5)


async def test_a_complete_rewrite_is_named_by_an_older_checkpoint(
    log: Log, keys: KeyRing, tmp_path: Path, pair: Pair
) -> None:
    """Whoever has even the ledger's key can't undo what was published before."""
    await log.append(3, 3)
    kept = await latest(log)
    other = Database(pair.database_url(tmp_path / "other"))
    rewritten = Log(other, LedgerService(keys, "https://credit.example", log.clock), log.clock)
    rewritten.length = 50
    await rewritten.append(4, 4)
    assert named(await verify(rewritten)) is None
    assert named(await verify(rewritten, [kept])) == (FaultKind.REWRITTEN, 0, 5)
    assert "another log" in (await verify(rewritten, [kept])).fault.detail  # type: ignore[union-attr]  # it has one
    await other.close()


async def test_two_older_checkpoints_enclose_a_rewrite(log: Log, keys: KeyRing) -> None:
    await log.append(2)
    early = await latest(log)
    await log.append(2, 2)
    late = await latest(log)
    await set_back(log, 4)
    log.ledger = LedgerService(keys, "https://credit.example", log.clock)
    log.length = 100
    await log.append(5)
    assert named(await verify(log, [late, early])) == (FaultKind.REWRITTEN, 2, 5)


async def test_an_older_checkpoint_doesnt_hide_where_an_edit_is(log: Log) -> None:
    await log.append(*[1] * 8)
    kept = await latest(log)
    await log.sql(
        f"UPDATE ledger_entries SET body = {sql_body(FORGED_BODY)} WHERE leaf_index = 5",
        f"UPDATE ledger_leaves SET leaf_hash = {sql_hash(FORGED_BODY)} WHERE leaf_index = 5",
    )
    assert named(await verify(log, [kept])) == (FaultKind.EDITED, 5, 5)


async def test_a_body_taken_away_without_an_erasure_reads_deleted(log: Log) -> None:
    await log.append(4)
    await log.erase(entry(1).id)
    for claimed in (2, 4, 5, 99):
        await log.sql(f"UPDATE ledger_entries SET body = NULL, erased_by = {claimed} WHERE leaf_index = 2")
        assert named(await verify(log)) == (FaultKind.DELETED, 2, 2)


async def test_the_first_of_several_faults_is_named(log: Log) -> None:
    await log.append(4, 4)
    await log.sql(
        "UPDATE ledger_entries SET body = NULL, erased_by = 0 WHERE leaf_index = 2",
        f"UPDATE ledger_entries SET body = {sql_body(FORGED_BODY)} WHERE leaf_index = 5",
        "DELETE FROM ledger_leaves WHERE leaf_index = 7",
    )
    assert named(await verify(log)) == (FaultKind.DELETED, 2, 2)


async def test_a_log_cant_go_by_the_name_of_another(log: Log) -> None:
    await log.append(2, 1)
    tables = ("leaves", "entries", "nodes", "checkpoints", "head")
    await log.sql(*(f"UPDATE ledger_{table} SET log_id = 'log_{'0' * 26}'" for table in tables))
    assert named(await verify(log)) == (FaultKind.FORGED, 0, 1)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE ledger_checkpoints SET jws = substr(jws, 1, length(jws) - 4) || 'AAAA' WHERE tree_size = 5",
        "UPDATE ledger_checkpoints SET jws = 'x' WHERE tree_size = 5",
        "UPDATE ledger_checkpoints SET root_hash = zeroblob(32) WHERE tree_size = 5",
        "UPDATE ledger_checkpoints SET jws = (SELECT checkpoint FROM ledger_head) WHERE tree_size = 5",
    ],
)
async def test_a_checkpoint_that_nobody_signed_is_named(log: Log, damage: str) -> None:
    await log.append(2, 3, 2)
    await log.sql(damage)
    assert named(await verify(log)) == (FaultKind.FORGED, 2, 4)


async def test_another_installations_keys_vouch_for_nothing(log: Log, tmp_path: Path) -> None:
    await log.append(2)
    other = CheckpointKeys(fresh_keys(tmp_path / "other").ledger.public_jwks())
    async with log.database.read() as tx:
        report = await verify_database(tx, other)
    assert named(report) == (FaultKind.FORGED, 0, 1)


@pytest.mark.parametrize(
    ("damage", "entries"),
    [
        ("UPDATE ledger_nodes SET hash = zeroblob(32) WHERE level = 1 AND position = 1", (2, 3)),
        ("DELETE FROM ledger_nodes WHERE level = 2 AND position = 0", (0, 3)),
        ("INSERT INTO ledger_nodes SELECT log_id, 1, 99, zeroblob(32) FROM ledger_head", (None, None)),
        ("UPDATE ledger_head SET frontier = zeroblob(length(frontier))", (None, None)),
        ("UPDATE ledger_head SET frontier = zeroblob(1)", (None, None)),
        ("UPDATE ledger_head SET tree_size = 8", (None, None)),
        ("UPDATE ledger_head SET checkpoint = NULL", (None, None)),
        ("UPDATE ledger_head SET checkpoint = (SELECT jws FROM ledger_checkpoints WHERE tree_size = 2)", (None, None)),
        ("DELETE FROM ledger_head", (None, None)),
    ],
)
async def test_damage_to_what_is_derived_from_the_entries_is_told_apart(
    log: Log, damage: str, entries: tuple[int | None, int | None]
) -> None:
    await log.append(2, 3, 2)
    await log.sql(damage)
    assert named(await verify(log)) == (FaultKind.DAMAGED, *entries)


# --- what an exported file may be made to say


def edit(line: bytes, **changes: object) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(line) | changes) + b"\n"


def place(lines: Sequence[bytes], leaf_index: int) -> int:
    """Where the leaf stands in the file."""
    return next(i for i, line in enumerate(lines) if msgspec.json.decode(line).get("leaf_index") == leaf_index)


def swap(lines: list[bytes], one: int, other: int) -> None:
    a, b = place(lines, one), place(lines, other)
    lines[a], lines[b] = lines[b], lines[a]


def swap_contents(lines: list[bytes], one: int, other: int) -> None:
    a, b = place(lines, one), place(lines, other)
    lines[a], lines[b] = edit(lines[b], leaf_index=one), edit(lines[a], leaf_index=other)


def forge(line: bytes, **changes: object) -> bytes:
    return edit(line, entry=b64url(FORGED_BODY), leaf_hash=b64url(leaf_hash(FORGED_BODY)), id=entry(5).id, **changes)


FILE_FAULTS: dict[str, tuple[Callable[[list[bytes]], object], tuple[FaultKind, int, int]]] = {
    "an entry edited": (
        lambda lines: lines.__setitem__(place(lines, 5), edit(lines[place(lines, 5)], entry=b64url(FORGED_BODY))),
        (FaultKind.EDITED, 5, 5),
    ),
    "a hash that isn't one": (
        lambda lines: lines.__setitem__(place(lines, 5), edit(lines[place(lines, 5)], leaf_hash="*")),
        (FaultKind.EDITED, 5, 5),
    ),
    "a line that can't be read": (
        lambda lines: lines.__setitem__(place(lines, 5), b"{\n"),
        (FaultKind.EDITED, 5, 5),
    ),
    "a line deleted": (lambda lines: lines.pop(place(lines, 5)), (FaultKind.DELETED, 5, 5)),
    "two lines exchanged": (lambda lines: swap(lines, 3, 6), (FaultKind.REORDERED, 3, 3)),
    "two lines exchanged and renumbered": (lambda lines: swap_contents(lines, 3, 6), (FaultKind.REORDERED, 3, 3)),
    "a line repeated": (
        lambda lines: lines.insert(place(lines, 5), lines[place(lines, 5)]),
        (FaultKind.INSERTED, 5, 5),
    ),
    "a forged line before the true one": (
        lambda lines: lines.insert(place(lines, 5), forge(lines[place(lines, 5)])),
        (FaultKind.INSERTED, 5, 5),
    ),
    "a line added at the end": (
        lambda lines: lines.append(forge(lines[place(lines, 5)], leaf_index=8)),
        (FaultKind.INSERTED, 8, 8),
    ),
    "a file cut short": (lambda lines: lines.__delitem__(slice(place(lines, 6), None)), (FaultKind.TRUNCATED, 6, 7)),
    "a checkpoint moved up": (
        lambda lines: lines.insert(place(lines, 3), lines.pop(-1)),
        (FaultKind.REORDERED, 3, 3),
    ),
}


@pytest.mark.parametrize("fault", FILE_FAULTS)
@pytest.mark.parametrize("sizes", [[1] * 8, [3, 3, 2], [8]])
async def test_a_fault_in_an_exported_file_is_named(log: Log, fault: str, sizes: list[int]) -> None:
    plant, expected = FILE_FAULTS[fault]
    await log.append(*sizes)
    lines = await exported(log)
    assert verify_lines(log, lines).fault is None
    plant(lines)
    assert named(verify_lines(log, lines)) == expected


@pytest.mark.parametrize("plant", [list.clear, lambda lines: lines.pop(0), lambda lines: lines.insert(0, b"{}\n")])
async def test_what_does_not_begin_as_an_export_is_none(log: Log, plant: Callable[[list[bytes]], object]) -> None:
    await log.append(2)
    lines = await exported(log)
    plant(lines)
    with pytest.raises(NotAnExport):
        verify_lines(log, lines)


@pytest.mark.parametrize(("sizes", "batch"), [([1] * 8, (5, 5)), ([3, 3, 2], (3, 5)), ([8], (0, 7))])
async def test_an_edit_with_a_fitting_hash_is_named_as_closely_as_the_checkpoints_stand(
    log: Log, sizes: list[int], batch: tuple[int, int]
) -> None:
    await log.append(*sizes)
    lines = await exported(log)
    lines[place(lines, 5)] = forge(lines[place(lines, 5)])
    assert named(verify_lines(log, lines)) == (FaultKind.EDITED, *batch)


async def test_an_export_holds_the_entries_as_they_were_recorded(log: Log) -> None:
    await log.append(2, 1)
    await log.erase(entry(0).id)
    header, *rest = [msgspec.json.decode(line) for line in await exported(log)]
    assert header["type"] == "log"
    assert [line["type"] for line in rest] == ["leaf", "leaf", "checkpoint", "leaf", "checkpoint", "leaf", "checkpoint"]
    assert rest[0]["entry"] is None
    assert rest[0]["erased_by"] == 3
    assert unb64url(rest[1]["entry"]) == entry(1).body
