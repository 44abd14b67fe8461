"""The two pairs that everything runs on: SQLite and memory, PostgreSQL and Redis.

The servers come from wheels, start when the first test needs them, and end with the tests. ``TEST_DATABASE_URL`` and
``TEST_CACHE_URL`` name servers that are there already: the first for a role that may create databases and roles.
"""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg
import redis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy import delete

from tests.support.servers import PostgresProcess, ValkeyProcess
from xinyi import wiring
from xinyi.settings import Settings
from xinyi.storage.database import Database
from xinyi.storage.migrate import migrate
from xinyi.storage.types import metadata

assert wiring  # the rooms' tables join the metadata

KEPT = 6
"""The newest databases stay with their folders, even while nobody is connected: a test may come back to one."""


BY_HAND: dict[str, Any] = {"sweep_seconds": 0}
"""What runs by itself in a server, and in a test when the test says so."""


class Pair(Protocol):
    """One way to store things. Each folder is one installation: the same folder is the same database again."""

    name: str

    def database_url(self, folder: Path) -> str:
        """A migrated database, empty when the folder is new."""

    def settings(self, folder: Path, **more: Any) -> Settings:
        """The settings of the installation in ``folder``."""

    def environ(self, folder: Path) -> dict[str, str]:
        """The same for another process."""

    def time_passes(self, folder: Path, by: timedelta) -> None:
        """Lets what an outside server remembers age, as the manual clock ages everything else."""

    def forget(self, folder: Path) -> None:
        """Loses the short-lived state."""

    def remembered(self, folder: Path, cache: Any) -> str:
        """All of the short-lived state, as text."""


class Embedded:
    """SQLite and memory."""

    name = "embedded"

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.sqlite3"

    def database_url(self, folder: Path) -> str:
        path = folder / "xinyi.sqlite3"
        if not path.exists():
            if not self._template.exists():
                with start_blocking_portal("asyncio") as portal:
                    portal.call(_migrated, f"sqlite:///{self._template}")
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._template, path)  # with its mode
        return f"sqlite:///{path}"

    def settings(self, folder: Path, **more: Any) -> Settings:
        self.database_url(folder)
        return Settings(data_dir=folder, **{**BY_HAND, **more})

    def environ(self, folder: Path) -> dict[str, str]:
        return {"XINYI_DATA_DIR": str(folder)}

    def time_passes(self, folder: Path, by: timedelta) -> None:
        """Memory looks at the manual clock itself."""

    def forget(self, folder: Path) -> None:
        """Memory ends with its process."""

    def remembered(self, folder: Path, cache: Any) -> str:
        return repr(cache._values)


class Servers:
    """PostgreSQL and Redis."""

    name = "servers"

    def __init__(self, postgres_url: str, redis_url: str, portal: BlockingPortal) -> None:
        self._postgres_url = postgres_url
        self.redis_url = redis_url
        self._redis = redis.Redis.from_url(redis_url)
        self._portal = portal
        self._databases: dict[Path, str] = {}
        self._admin: Any = None
        self._made = 0
        self._template = f"xinyi_test_{os.getpid()}_template"
        portal.call(self._make_template)

    def database_url(self, folder: Path) -> str:
        if folder not in self._databases:
            self._databases[folder] = self._portal.call(self._fresh)
        return self._url(self._databases[folder])

    def settings(self, folder: Path, **more: Any) -> Settings:
        database_url = self.database_url(folder)
        given = {"cache_url": self.redis_url, "cache_prefix": self._prefix(folder), "database_pool": 5}
        return Settings(data_dir=folder, database_url=database_url, **{**given, **BY_HAND, **more})

    def environ(self, folder: Path) -> dict[str, str]:
        return {
            "XINYI_DATA_DIR": str(folder),
            "XINYI_DATABASE_URL": self.database_url(folder),
            "XINYI_CACHE_URL": self.redis_url,
            "XINYI_CACHE_PREFIX": self._prefix(folder),
        }

    def time_passes(self, folder: Path, by: timedelta) -> None:
        milliseconds = int(by.total_seconds() * 1000)
        for key in self._redis.scan_iter(self._prefix(folder) + "*", count=1000):
            left = self._redis.pttl(key)
            if left > 0:
                self._redis.pexpire(key, left - milliseconds)

    def forget(self, folder: Path) -> None:
        for key in self._redis.scan_iter(self._prefix(folder) + "*", count=1000):
            self._redis.delete(key)

    def remembered(self, folder: Path, cache: Any) -> str:
        keys = list(self._redis.scan_iter(self._prefix(folder) + "*", count=1000))
        return repr(list(zip(keys, self._redis.mget(keys), strict=True)))

    def close(self) -> None:
        self._portal.call(self._drop_all)
        self._redis.close()

    def _prefix(self, folder: Path) -> str:
        return f"{folder}:"

    def _url(self, database: str) -> str:
        return urlsplit(self._postgres_url)._replace(path=f"/{database}").geturl()

    async def create_role(self, role: str) -> None:
        """A role that may log in and nothing else."""
        admin = await asyncpg.connect(self._postgres_url)
        if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            await admin.execute(f"CREATE ROLE {role} LOGIN")
        await admin.close()

    def as_role(self, role: str) -> "Servers":
        """The same installations, for a server that connects as ``role``."""
        other = copy(self)
        parts = urlsplit(self._postgres_url)
        other._postgres_url = parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}").geturl()
        return other

    def with_redis(self, url: str) -> "Servers":
        """The same databases, with another memory store."""
        other = copy(self)
        other.redis_url = url
        other._redis = redis.Redis.from_url(url)
        return other

    @asynccontextmanager
    async def bare_database(self) -> AsyncIterator[str]:
        """A database that holds nothing, for as long as the block lasts."""
        name = f"xinyi_test_{os.getpid()}_bare"
        admin = await asyncpg.connect(self._postgres_url)
        await admin.execute(f"CREATE DATABASE {name}")
        try:
            yield self._url(name)
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await admin.close()

    async def _administrator(self) -> Any:
        """A connection that a restart of the server may have ended."""
        if self._admin is None or self._admin.is_closed():
            self._admin = await asyncpg.connect(self._postgres_url)
        return self._admin

    async def _make_template(self) -> None:
        await (await self._administrator()).execute(f"CREATE DATABASE {self._template}")
        await _migrated(self._url(self._template))

    async def _fresh(self) -> str:
        """An emptied database of a test that has ended, else a copy of the template."""
        admin = await self._administrator()
        busy = {row[0] for row in await admin.fetch("SELECT DISTINCT datname FROM pg_stat_activity")}
        for folder in list(self._databases)[:-KEPT]:
            if self._databases[folder] not in busy:
                name = self._databases.pop(folder)
                await self._empty(name)
                return name
        self._made += 1
        name = f"xinyi_test_{os.getpid()}_{self._made}"
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name

    async def _empty(self, name: str) -> None:
        connection = await asyncpg.connect(self._url(name))
        await connection.execute("SET session_replication_role = replica")  # in whatever order
        for table in metadata.tables.values():
            await connection.execute(str(delete(table)))
        await connection.close()

    async def _drop_all(self) -> None:
        admin = await self._administrator()
        for name in (*self._databases.values(), self._template):
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """PostgreSQL and Redis: those that the environment names, else fresh ones."""
    postgres_url, redis_url = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_CACHE_URL")
    postgres = None if postgres_url else PostgresProcess()
    valkey = None if redis_url else ValkeyProcess(folder / "valkey")
    started: list[PostgresProcess | ValkeyProcess] = [process for process in (postgres, valkey) if process is not None]
    try:
        for process in started:
            process.start()
        with start_blocking_portal("asyncio") as portal:
            servers = Servers(
                postgres_url or (postgres.url if postgres else ""), redis_url or (valkey.url if valkey else ""), portal
            )
            yield servers
            servers.close()
    finally:
        for process in started:
            process.close()


async def _migrated(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()
