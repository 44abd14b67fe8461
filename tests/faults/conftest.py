"""PostgreSQL and Valkey that the tests here may stop, freeze and start again."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from anyio.from_thread import start_blocking_portal

from tests.support.pairs import Servers
from tests.support.servers import PostgresProcess, ValkeyProcess


@dataclass(frozen=True)
class Own:
    """Servers of one's own. Whoever stops one starts it again."""

    pair: Servers
    postgres: PostgresProcess
    valkey: ValkeyProcess


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    postgres, valkey = PostgresProcess(), ValkeyProcess(tmp_path_factory.mktemp("own") / "valkey")
    try:
        postgres.start()
        valkey.start()
        with start_blocking_portal("asyncio") as portal:
            pair = Servers(postgres.url, valkey.url, portal)
            yield Own(pair, postgres, valkey)
            pair.close()
    finally:
        valkey.close()
        postgres.close()
