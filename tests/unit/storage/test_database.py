"""The database away, back, and too busy."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from tests.support.servers import PostgresProcess
from xinyi.kernel.errors import Code, XinyiError
from xinyi.storage.database import Database, driver_url
from xinyi.storage.sql import Prepared


@pytest.fixture
def postgres() -> Iterator[PostgresProcess]:
    process = PostgresProcess()
    process.start()
    yield process
    process.close()


async def one(database: Database) -> int:
    async with database.read() as tx:
        return int((await tx.execute(text("SELECT 1"))).scalar_one())


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgresql://someone:a%40b@db.example/x", "postgresql+asyncpg"),
        ("postgres://db.example/x", "postgresql+asyncpg"),
        ("postgresql+asyncpg://db.example/x", "postgresql+asyncpg"),
        ("sqlite:////var/lib/x.sqlite3", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///x.sqlite3", "sqlite+aiosqlite"),
    ],
)
def test_a_url_names_the_database_and_we_the_driver(url: str, driver: str):
    found = driver_url(url)
    assert found.drivername == driver
    assert found.password in {None, "a@b"}


@pytest.mark.parametrize("url", ["mysql://db.example/x", "postgresql+psycopg://db.example/x", "x.sqlite3", ""])
def test_another_database_is_refused(url: str):
    with pytest.raises(ValueError, match="must begin with"):
        driver_url(url)


async def test_after_a_restart_of_the_server_everything_works_again_by_itself(postgres: PostgresProcess):
    database = Database(postgres.url)
    async with AsyncExitStack() as stack:
        for _ in range(4):  # several connections that will all have died
            await stack.enter_async_context(database.read())
    postgres.stop()
    for _ in range(2):
        with pytest.raises(XinyiError) as refused:
            await one(database)
        assert (refused.value.code, refused.value.retry_after) == (Code.UNAVAILABLE, 1)
    postgres.start()
    assert await asyncio.gather(*(one(database) for _ in range(8))) == [1] * 8
    await database.close()


async def test_what_the_server_breaks_off_is_unavailable_and_not_stored(postgres: PostgresProcess):
    database = Database(postgres.url)
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE t (n INTEGER)"))

    async def interrupted() -> None:
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO t VALUES (1)"))
            postgres.stop()

    with pytest.raises(XinyiError) as refused:
        await interrupted()
    assert refused.value.code is Code.UNAVAILABLE
    postgres.start()
    async with database.read() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM t"))).scalar_one() == 0
    await database.close()


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT], ids=["immediately", "in good order"])
@pytest.mark.parametrize("prepared", [True, False], ids=["driver", "core"])
async def test_a_statement_that_the_server_breaks_off_as_it_stops_is_unavailable(
    postgres: PostgresProcess, how: signal.Signals, *, prepared: bool
):
    database = Database(postgres.url, pool_size=2)
    wait = select(func.pg_sleep(60))

    async def waiting() -> None:
        async with database.read() as tx:
            await (Prepared(lambda _dialect: wait).fetch(tx) if prepared else tx.execute(wait))

    async def begun() -> bool:
        async with database.read() as tx:
            running = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            return bool((await tx.execute(running)).scalar_one())

    task = asyncio.create_task(waiting())
    while not await begun():
        assert not task.done()
    await asyncio.to_thread(postgres.stop, how)
    with pytest.raises(XinyiError) as refused:
        await task
    assert refused.value.code is Code.UNAVAILABLE
    postgres.start()
    async with database.read(), database.read():  # both places in the pool are free
        pass
    await database.close()


async def test_when_every_connection_is_busy_the_next_is_told_to_come_back(postgres: PostgresProcess):
    database = Database(postgres.url, pool_size=2)
    async with database.read(), database.read():
        with pytest.raises(XinyiError) as refused:
            await one(database)
    assert (refused.value.code, refused.value.detail) == (Code.UNAVAILABLE, "every database connection is busy")
    assert refused.value.retry_after == 1
    assert await one(database) == 1
    await database.close()


async def test_a_transaction_sees_what_others_commit_meanwhile(postgres: PostgresProcess):
    database = Database(postgres.url)
    async with database.read() as tx:
        assert (await tx.execute(text("SHOW transaction_isolation"))).scalar_one() == "read committed"
    await database.close()


async def test_who_waits_for_another_process_to_finish_writing_keeps_nobody_else_waiting(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    async with database.transaction() as tx:
        await tx.exec_driver_sql("CREATE TABLE t (x INTEGER)")

    async def write() -> None:
        async with database.transaction() as tx:
            await tx.exec_driver_sql("INSERT INTO t VALUES (1)")

    other = sqlite3.connect(tmp_path / "x.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    loop = asyncio.get_running_loop()
    began, waiting = loop.time(), asyncio.create_task(write())
    while not database.busy:  # noqa: ASYNC110 (the pool tells nobody)
        await asyncio.sleep(0)
    async with database.read() as tx:
        assert (await tx.exec_driver_sql("SELECT count(*) FROM t")).scalar_one() == 0
    assert not waiting.done()
    assert loop.time() - began < 1
    other.execute("ROLLBACK")
    other.close()
    await waiting
    async with database.read() as tx:
        assert (await tx.exec_driver_sql("SELECT count(*) FROM t")).scalar_one() == 1
    await database.close()


async def test_another_process_that_comes_and_goes_leaves_the_log_alone(tmp_path: Path):
    """SQLite's last connection removes the log: who is last it knows by locks, which a stray close would drop."""
    path = tmp_path / "xinyi.sqlite3"

    def told_by_another_process() -> str:
        program = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute('SELECT n FROM t')); c.close()"
        )
        done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    database = Database(f"sqlite:///{path}")
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE t (n INTEGER)"))
    async with database.read(), database.read():  # a second connection is made
        pass
    assert told_by_another_process() == ""
    async with database.transaction() as tx:
        await tx.execute(text("INSERT INTO t VALUES (1)"))
    assert told_by_another_process() == "(1,)"
    await database.close()
