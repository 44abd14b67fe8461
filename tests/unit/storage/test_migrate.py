"""The schema is what the migrations make, and nothing works on another."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tests.support.keys import fresh_keys
from tests.support.pairs import Pair, Servers
from tests.support.production import PRODUCTION
from xinyi import wiring
from xinyi.settings import Settings
from xinyi.storage.database import Database
from xinyi.storage.migrate import MIGRATIONS, NotMigrated, migrate, migrate_if_empty, require_migrated, revisions
from xinyi.storage.types import metadata

assert wiring  # the rooms' tables join the metadata


@pytest.fixture
async def empty(pair: Pair, tmp_path: Path) -> AsyncIterator[Database]:
    """A database that nobody has used."""
    if isinstance(pair, Servers):
        async with pair.bare_database() as url:
            database = Database(url)
            yield database
            await database.close()
    else:
        database = Database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
        yield database
        await database.close()


def difference(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": metadata})
    return list(compare_metadata(context, metadata))


async def test_the_tables_are_those_that_the_code_works_with(database: Database):
    """Otherwise: `python -m tools.migration WORDS` writes the step that is missing."""
    async with database.read() as tx:
        assert await tx.run_sync(difference) == []


def test_the_steps_follow_each_other_in_the_order_of_their_files():
    script = ScriptDirectory(str(MIGRATIONS))
    assert [step.revision for step in reversed(list(script.walk_revisions()))] == revisions()


async def test_migrate_tells_its_steps_and_does_nothing_twice(empty: Database):
    assert await migrate(empty) == revisions()
    assert await migrate(empty) == []
    await require_migrated(empty)


async def test_of_two_at_once_one_takes_the_steps(empty: Database):
    done = await asyncio.gather(migrate(empty), migrate(empty))
    assert sorted(done) == [[], revisions()]


async def test_nothing_works_on_an_unmigrated_database(empty: Database):
    with pytest.raises(NotMigrated, match="`xinyi migrate` brings it there"):
        await require_migrated(empty)


async def test_a_newer_database_is_refused(database: Database):
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for work in (require_migrated, migrate):
        with pytest.raises(NotMigrated, match="a newer one"):
            await work(database)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": revisions()[-1]})


async def test_somebody_elses_tables_are_left_alone(empty: Database):
    async with empty.transaction() as tx:
        await tx.execute(text("CREATE TABLE theirs (id INTEGER)"))
    await migrate_if_empty(empty)
    for work in (require_migrated, migrate):
        with pytest.raises(NotMigrated, match="a database of its own"):
            await work(empty)


async def test_a_sandbox_on_sqlite_needs_no_command(tmp_path: Path):
    async with wiring.Services.build(Settings(data_dir=tmp_path)).opened() as services:
        await require_migrated(services.database)


async def test_production_wants_the_command(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, **PRODUCTION)
    fresh_keys(settings.keys_dir, settings.environment)
    services = wiring.Services.build(settings)
    with pytest.raises(NotMigrated):
        await services.opened().__aenter__()
