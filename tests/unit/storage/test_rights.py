"""The server's own role can't rewrite the ledger: PostgreSQL itself refuses."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.support.pairs import Servers
from tests.support.world import World, ask, new_world
from xinyi.checks.model import Answered
from xinyi.cli import main
from xinyi.consents.model import Party
from xinyi.storage.database import Database
from xinyi.storage.migrate import NotMigrated
from xinyi.storage.rights import NoSuchRole, Right, grant, rights
from xinyi.storage.types import metadata

ROLE = "xinyi_app"
REWRITES = {
    "ledger_checkpoints": "UPDATE ledger_checkpoints SET jws = ''",
    "ledger_entries": "UPDATE ledger_entries SET body = NULL, erased_by = 0",
    "ledger_leaves": "UPDATE ledger_leaves SET kind = ''",
    "ledger_nodes": "UPDATE ledger_nodes SET level = 0",
}
UNCHANGED = {
    "consent_copies",
    "events",
    "installation",
    "kept_off",
    "key_changes",
    "operator_acts",
    "outbox",
    "withholdings",
}
"""Whose rows stay as they were written as well."""


@pytest.fixture
async def world(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose server connects as a role that `xinyi migrate --app-role` gave its rights."""
    await servers.create_role(ROLE)
    owner = Database(servers.database_url(tmp_path))
    await grant(owner, ROLE)
    await owner.close()
    async with new_world(tmp_path, servers.as_role(ROLE)) as world:
        yield world


async def test_the_product_works_with_the_servers_rights(world: World):
    bank, subject = await world.client("bike-deposit", kind="bike-share"), await world.subject()
    consent = await world.consent(bank, "bike-deposit", subject)
    assert isinstance(await world.check(ask(bank, consent)), Answered)
    await world.services.consents.withdraw(consent.id, by=Party.SUBJECT, who=subject.id)


@pytest.mark.parametrize("table", REWRITES)
async def test_the_servers_role_rewrites_nothing_of_the_ledger(world: World, table: str):
    bank, subject = await world.client("bike-deposit", kind="bike-share"), await world.subject()
    await world.check(ask(bank, await world.consent(bank, "bike-deposit", subject)))
    others = ("DELETE FROM {}", "TRUNCATE {}", "ALTER TABLE {} DISABLE TRIGGER ALL", "DROP TABLE {}")
    for statement in (REWRITES[table], *(each.format(table) for each in others)):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            await run(world.services.database, statement)


async def test_the_servers_role_may_do_what_is_said_beside_each_table_and_no_more(world: World):
    question = text("SELECT has_table_privilege(current_user, :table, :right)")
    async with world.services.database.read() as tx:
        for table in metadata.sorted_tables:
            held = {right for right in Right if await tx.scalar(question, {"table": table.name, "right": right.value})}
            assert held == set(rights(table)), table.name
            assert (Right.UPDATE in held) is (table.name not in {*REWRITES, *UNCHANGED}), table.name


async def run(database: Database, statement: str) -> None:
    async with database.transaction() as tx:
        await tx.execute(text(statement))


async def test_a_role_that_isnt_there_is_named(servers: Servers, tmp_path: Path):
    database = Database(servers.database_url(tmp_path))
    with pytest.raises(NoSuchRole, match="no role nobody_here"):
        await grant(database, "nobody_here")
    await database.close()


async def test_rights_are_given_on_a_current_schema_only(servers: Servers):
    async with servers.bare_database() as url:
        database = Database(url)
        with pytest.raises(NotMigrated):
            await grant(database, ROLE)
        await database.close()


async def test_sqlite_has_no_roles(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    with pytest.raises(NoSuchRole, match="SQLite has no roles"):
        await grant(database, ROLE)


def test_migrate_prints_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path))
    first = CliRunner().invoke(main, ["migrate"])
    assert first.exit_code == 0
    assert "step 0001: done" in first.output
    assert "up to date" in CliRunner().invoke(main, ["migrate"]).output
    refused = CliRunner().invoke(main, ["migrate", "--app-role", "x"])
    assert (refused.exit_code, "SQLite has no roles" in refused.output) == (1, True)
