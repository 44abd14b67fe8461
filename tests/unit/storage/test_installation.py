"""A database belongs to one environment, and its file to its owner alone."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.keys import fresh_keys
from tests.support.pairs import Embedded
from tests.support.production import PRODUCTION, PRODUCTION_ENVIRON
from xinyi.cli import main
from xinyi.settings import Environment, Settings
from xinyi.storage.database import Database
from xinyi.storage.installation import OtherEnvironment, require_environment
from xinyi.wiring import Services

pytestmark = pytest.mark.anyio


async def test_a_database_stays_with_the_environment_that_it_was_made_for(database: Database):
    for _ in range(2):
        await require_environment(database, Environment.SANDBOX)
    with pytest.raises(OtherEnvironment, match="made for sandbox, and this installation is production"):
        await require_environment(database, Environment.PRODUCTION)


def production(folder: Path, embedded: Embedded) -> Services:
    settings = embedded.settings(folder, **PRODUCTION)
    fresh_keys(settings.keys_dir, settings.environment)
    return Services.build(settings)


async def test_production_refuses_what_a_sandbox_stored(tmp_path: Path, embedded: Embedded):
    async with Services.build(embedded.settings(tmp_path)).opened():
        pass
    for path in (tmp_path / "keys").iterdir():
        path.unlink()
    with pytest.raises(OtherEnvironment):
        await production(tmp_path, embedded).opened().__aenter__()


def test_migrate_notes_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path))
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0
    for name, value in PRODUCTION_ENVIRON.items():
        monkeypatch.setenv(name, value)
    refused = CliRunner().invoke(main, ["migrate"], catch_exceptions=False)
    assert refused.exit_code == 1
    assert refused.output.endswith(
        "Error: 安装有误 / the database was made for sandbox, and this installation is production\n"
    )


async def test_nobody_else_reads_the_database_that_is_made(tmp_path: Path):
    before = os.umask(0)
    try:
        data_dir = tmp_path / "var"
        async with Services.build(Settings(data_dir=data_dir)).opened() as services, services.database.transaction():
            found = {path.name: path.stat().st_mode & 0o777 for path in data_dir.iterdir()}
    finally:
        os.umask(before)
    names = ("xinyi.sqlite3", "xinyi.sqlite3-wal", "xinyi.sqlite3-shm")
    assert found == {"keys": 0o700, **dict.fromkeys(names, 0o600)}
    assert data_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("words", [["sources", "list"], ["sandbox", "sources"]])
def test_a_command_that_makes_an_installation_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
):
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path / "var"))
    first, second = (CliRunner().invoke(main, words) for _ in range(2))
    assert first.stderr == f"新建沙箱数据库 / Made a new sandbox's database: {tmp_path}/var/xinyi.sqlite3\n"
    assert second.stderr == ""
    assert first.exit_code == second.exit_code == 0


async def test_production_refuses_a_database_that_others_can_read(tmp_path: Path, embedded: Embedded):
    services = production(tmp_path, embedded)
    async with services.opened():
        pass
    (tmp_path / "xinyi.sqlite3").chmod(0o644)
    with pytest.raises(PermissionError, match="chmod 600"):
        await services.opened().__aenter__()


@pytest.mark.parametrize("words", [["sources"], ["generate", "--personas", "--source", "tax"]])
def test_nothing_is_made_up_for_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]):
    for name, value in {"XINYI_DATA_DIR": str(tmp_path), **PRODUCTION_ENVIRON}.items():
        monkeypatch.setenv(name, value)
    fresh_keys(tmp_path / "keys", Environment.PRODUCTION)
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0
    refused = CliRunner().invoke(main, ["sandbox", *words])
    assert (refused.exit_code, refused.output) == (1, "Error: 当前安装不是沙箱 / this is not a sandbox\n")
