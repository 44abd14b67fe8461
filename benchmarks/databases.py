"""PostgreSQL and Valkey from their wheels, set up as for work: what is committed survives a power cut."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from tests.support.servers import PostgresProcess, ValkeyProcess

from .processes import computed


class Databases:
    """Two running servers; each installation gets a database of its own."""

    def __init__(self, postgres: PostgresProcess, valkey: ValkeyProcess) -> None:
        self._postgres = postgres
        self._valkey = valkey

    def urls(self, name: str) -> dict[str, str]:
        """The settings of an installation called ``name``, whose database is made here."""
        asyncio.run(self._create(name))
        return {
            "database_url": urlsplit(self._postgres.url)._replace(path=f"/{name}").geturl(),
            "cache_url": self._valkey.url,
            "cache_prefix": f"{name}:",
        }

    @property
    def computed(self) -> float:
        """The processor time that PostgreSQL's living processes used so far, in seconds."""
        return computed(self._postgres.pid, with_children=True)

    async def _create(self, name: str) -> None:
        connection = await asyncpg.connect(self._postgres.url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()


@contextmanager
def databases(folder: Path) -> Iterator[Databases]:
    """Both servers, until the block ends. They run on the cores of this process."""
    postgres = PostgresProcess(
        fsync="on", full_page_writes="on", shared_buffers="2GB", max_wal_size="4GB", autovacuum="on"
    )
    try:
        valkey = ValkeyProcess(folder / "valkey")
        try:
            postgres.start()
            valkey.start()
            yield Databases(postgres, valkey)
        finally:
            valkey.stop()
    finally:
        postgres.close()
