"""A ledger in a fresh database."""

from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from tests.support.ledger import Log
from xinyi.ledger.service import LedgerService
from xinyi.storage.database import Database
from xinyi.storage.keys import KeyRing

ISSUER = "https://credit.example"


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="session")
def keys(keys_folder: Path) -> KeyRing:
    return fresh_keys(keys_folder).ledger


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ledger(keys: KeyRing, clock: ManualClock) -> LedgerService:
    return LedgerService(keys, ISSUER, clock)


@pytest.fixture
def log(database: Database, ledger: LedgerService, clock: ManualClock) -> Log:
    return Log(database, ledger, clock)
