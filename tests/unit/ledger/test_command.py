"""``xinyi ledger`` as an auditor types it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from tests.support.ledger import Log, entry
from xinyi.cli.ledger import ledger
from xinyi.ledger.model import NewEntry
from xinyi.ledger.service import LedgerService
from xinyi.settings import Environment
from xinyi.storage.database import Database
from xinyi.storage.key_files import open_keys
from xinyi.storage.migrate import migrate_if_empty

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path / "var"))
    return lambda *arguments: CliRunner().invoke(ledger, arguments)


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Log]:
    """The ledger of the installation in ``folder``."""
    database = Database(f"sqlite:///{folder / 'xinyi.sqlite3'}")
    await migrate_if_empty(database)
    ledger = LedgerService(fresh_keys(folder / "keys").ledger, "https://credit.example", ManualClock())
    yield Log(database, ledger, ManualClock())
    await database.close()


@pytest.fixture
def receipts(run: Run, tmp_path: Path) -> list[str]:
    """The receipts of a log with five entries in three batches, of which one was erased."""

    async def fill() -> list[str]:
        async with opened(tmp_path / "var") as log:
            receipts = await log.append(3, 1)
            await log.erase(entry(2).id)
            return receipts

    (tmp_path / "var").mkdir()
    return asyncio.run(fill())


def begin(tmp_path: Path) -> None:
    """An installation whose ledger is empty."""

    async def work() -> None:
        async with opened(tmp_path / "var"):
            pass

    (tmp_path / "var").mkdir(exist_ok=True)
    asyncio.run(work())


def tamper(tmp_path: Path, statement: str) -> None:
    async def work() -> None:
        async with opened(tmp_path / "var") as log:
            await log.sql(statement)

    asyncio.run(work())


def jwks(tmp_path: Path) -> str:
    path = tmp_path / "jwks.json"
    keys = open_keys(tmp_path / "var" / "keys", Environment.SANDBOX, ManualClock()).ledger.public_jwks()
    path.write_bytes(msgspec.json.encode(keys))
    return str(path)


def test_a_sound_log_ends_with_status_0_and_its_numbers(run: Run, receipts: list[str]) -> None:
    result = run("verify")
    assert result.exit_code == 0, result.output
    assert "账本完整 / The ledger is sound" in result.output
    assert result.output.endswith("ledger: 5 entries verified, 1 erased, 3 checkpoints\n")


def test_an_installation_without_entries_is_sound(run: Run, tmp_path: Path) -> None:
    begin(tmp_path)
    result = run("verify")
    assert result.exit_code == 0, result.output
    assert result.output.endswith("ledger: 0 entries verified, 0 erased, 0 checkpoints\n")


def test_a_fault_ends_with_status_1_and_names_the_entry(run: Run, receipts: list[str], tmp_path: Path) -> None:
    tamper(tmp_path, "UPDATE ledger_entries SET body = x'00' WHERE leaf_index = 1")
    result = run("verify")
    assert result.exit_code == 1
    assert "账本有误 / The ledger isn't sound" in result.output
    assert "账本：条目被改动，第 1 条（从 0 数起） / ledger: edited entry 1: " in result.output


def test_entries_about_checks_and_consents_are_held_against_their_rows(run: Run, tmp_path: Path) -> None:
    async def fill() -> None:
        async with opened(tmp_path / "var") as log, log.database.transaction() as tx:
            entries = [NewEntry("consent", "cns_x", b"{}")]
            await log.ledger.append(tx, entries, log.clock.now())

    (tmp_path / "var").mkdir()
    asyncio.run(fill())
    result = run("verify")
    assert result.exit_code == 1
    assert "ledger: deleted entry 0: the row of cns_x in consents isn't there" in result.output
    assert run("verify", "--jwks", jwks(tmp_path)).exit_code == 1


@pytest.mark.parametrize("value", ["'text'", "x'00'", "7.5"])
def test_a_head_of_a_wrong_type_is_a_fault_and_no_crash(
    run: Run, receipts: list[str], tmp_path: Path, value: str
) -> None:
    tamper(tmp_path, f"UPDATE ledger_head SET tree_size = {value}")  # noqa: S608 (a test's own)
    result = run("verify")
    assert result.exit_code == 1
    assert "ledger: damaged: ledger_head.tree_size holds a value of another type" in result.output


def test_damage_that_concerns_no_entry_names_none(run: Run, receipts: list[str], tmp_path: Path) -> None:
    tamper(tmp_path, "DELETE FROM ledger_head")
    result = run("verify")
    assert result.exit_code == 1
    assert "ledger: damaged: " in result.output


def test_an_export_verifies_elsewhere_with_the_published_keys(run: Run, receipts: list[str], tmp_path: Path) -> None:
    assert run("export", "log.ndjson").exit_code == 0
    keys = jwks(tmp_path)
    (tmp_path / "var").rename(tmp_path / "gone")
    result = run("verify", "--file", "log.ndjson", "--jwks", keys)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "var").exists()

    lines = (tmp_path / "log.ndjson").read_bytes().splitlines(keepends=True)
    (tmp_path / "log.ndjson").write_bytes(b"".join(line for line in lines if b'"leaf_index":1' not in line))
    result = run("verify", "--file", "log.ndjson", "--jwks", keys)
    assert result.exit_code == 1
    assert "ledger: deleted entry 1: " in result.output


def test_an_export_goes_to_standard_output(run: Run, receipts: list[str]) -> None:
    lines = [json.loads(line) for line in run("export").output.splitlines()]
    assert [line["type"] for line in lines] == [
        "log", "leaf", "leaf", "leaf", "checkpoint", "leaf", "checkpoint", "leaf", "checkpoint",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["checkpoint", "receipt", "answer"])
def test_a_kept_checkpoint_is_read_in_each_form_in_which_it_is_given(
    run: Run, receipts: list[str], tmp_path: Path, form: str
) -> None:
    token = run("checkpoint").output.strip()
    text = {
        "checkpoint": token + "\n",
        "receipt": receipts[3],
        "answer": json.dumps({"data": {"checkpoint": token}}),
    }[form]
    Path("kept").write_text(text)
    result = run("verify", "--checkpoint", "kept")
    assert result.exit_code == 0, result.output
    assert "held against" in result.output

    # The whole database is gone, and someone began anew with the same keys.
    for file in (tmp_path / "var").glob("xinyi.sqlite3*"):
        file.unlink()
    begin(tmp_path)
    result = run("verify", "--checkpoint", "kept")
    assert result.exit_code == 1
    assert "ledger: truncated entries 0 to" in result.output


@pytest.mark.parametrize("text", ["", "a.b.c", "{}", '{"data":1}', "{", "\udcff"])
def test_a_file_without_a_checkpoint_is_refused_with_status_2(run: Run, receipts: list[str], text: str) -> None:
    Path("kept").write_text(text, "utf-8", "surrogateescape")
    result = run("verify", "--checkpoint", "kept")
    assert result.exit_code == 2
    assert "--checkpoint" in result.output


def test_where_nothing_is_installed_nothing_is_verified_and_nothing_made(run: Run, tmp_path: Path) -> None:
    result = run("verify")
    assert result.exit_code == 2
    assert result.output.startswith("Error: 无法核验 / can't verify: ")
    assert str(tmp_path / "var" / "keys") in result.output
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("missing", ["database", "keys", "schema"])
def test_an_installation_that_lacks_something_is_not_completed(
    run: Run, receipts: list[str], tmp_path: Path, missing: str
) -> None:
    database, key_file = tmp_path / "var" / "xinyi.sqlite3", tmp_path / "var" / "keys" / "ledger.jwks.json"
    if missing == "keys":
        key_file.unlink()
    else:
        for file in (tmp_path / "var").glob("xinyi.sqlite3*"):
            file.unlink()
    if missing == "schema":
        database.write_bytes(b"")
    before = sorted(path for path in (tmp_path / "var").rglob("*") if path.is_file())
    result = run("verify")
    assert result.exit_code == 2
    assert result.output.startswith("Error: 无法核验 / can't verify: ")
    assert sorted(path for path in (tmp_path / "var").rglob("*") if path.is_file()) == before


@pytest.mark.parametrize("text", ["", "{}\n", "no export\n", "without its header"])
def test_a_file_that_is_no_export_cannot_be_verified(run: Run, receipts: list[str], tmp_path: Path, text: str) -> None:
    if text == "without its header":
        text = "\n".join(run("export").output.splitlines()[1:])
    Path("log.ndjson").write_text(text)
    result = run("verify", "--file", "log.ndjson", "--jwks", jwks(tmp_path))
    assert result.exit_code == 2
    assert result.output.startswith("Error: 无法核验 / can't verify: it is")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys":[]}'])
def test_a_file_without_keys_is_refused_with_status_2(run: Run, text: str) -> None:
    Path("keys").write_text(text)
    result = run("verify", "--jwks", "keys")
    assert result.exit_code == 2
    assert "--jwks" in result.output


def test_an_empty_log_has_no_checkpoint_to_print(run: Run) -> None:
    result = run("checkpoint")
    assert result.exit_code == 1
    assert "the ledger holds nothing there" in result.output
