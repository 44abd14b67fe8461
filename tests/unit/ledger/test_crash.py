"""A process that is killed while it appends: what it acknowledged is there, and the log verifies."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.ledger import Log
from tests.support.pairs import Pair
from xinyi.ledger.checkpoint import CheckpointKeys
from xinyi.ledger.receipt import read_receipt
from xinyi.ledger.tree import leaf_hash
from xinyi.ledger.verify import verify_database

pytestmark = pytest.mark.anyio

APPENDER = """
import asyncio, sys
from pathlib import Path
from tests.support.clock import ManualClock
from tests.support.ledger import Log
from xinyi.ledger.service import LedgerService
from xinyi.storage.database import Database
from xinyi.settings import Environment
from xinyi.storage.key_files import open_keys

async def main(database, keys, start):
    clock = ManualClock()
    ledger = LedgerService(open_keys(Path(keys), Environment.SANDBOX, clock).ledger, "https://credit.example", clock)
    log = Log(Database(database), ledger, clock)
    log.length = int(start)
    while True:
        for receipt in await log.append(3):
            print(receipt, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_every_acknowledged_entry_survives_kill_9_and_the_log_verifies(
    log: Log, keys_folder: Path, tmp_path: Path, pair: Pair
) -> None:
    keys = CheckpointKeys(log.ledger.jwks())
    acknowledged: list[str] = []
    url = pair.database_url(tmp_path)
    for receipts in (1, 4, 2, 7):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", APPENDER, url, str(keys_folder), str(len(acknowledged))),
            cwd=Path(__file__).parents[3],
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        acknowledged += [(await process.stdout.readline()).decode().strip() for _ in range(receipts)]
        process.kill()
        await process.communicate()

        async with log.database.read() as tx:
            report = await verify_database(tx, keys)
            assert report.fault is None
            for receipt in acknowledged:
                body, checkpoint = read_receipt(receipt, keys)
                await log.ledger.inclusion(tx, leaf_hash(body), checkpoint.tree_size)
    assert len(acknowledged) == 14
    await log.append(1)
