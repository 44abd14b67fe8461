"""Many workers behind one address: they share what was used, end in good order, and come up only where they can."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from tests.support.pairs import Embedded, Servers
from tests.support.process import server_process
from tests.support.production import PRODUCTION_ENVIRON
from xinyi.cli import main


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "2 workers need cache_url"),
        ({"XINYI_DATABASE_URL": "postgresql://db.example/x"}, "2 workers need cache_url"),
        ({"XINYI_CACHE_URL": "redis://cache.example"}, "2 workers need database_url"),
    ],
)
def test_more_than_one_worker_without_shared_state_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Mapping[str, str], reason: str
):
    for name, value in {"XINYI_DATA_DIR": str(tmp_path), **given}.items():
        monkeypatch.setenv(name, value)
    refused = CliRunner().invoke(main, ["serve", "--workers", "2"])
    assert refused.exit_code == 1
    assert reason in refused.output


def test_serve_refuses_an_unmigrated_database_and_says_the_command(tmp_path: Path, embedded: Embedded):
    environment = {
        **os.environ,
        "XINYI_DATA_DIR": str(tmp_path),
        **PRODUCTION_ENVIRON,
    }
    refused = subprocess.run(
        [sys.executable, "-m", "xinyi", "serve", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.strip() == "Error: 安装有误 / the database isn't up to date: `xinyi migrate` brings it there"


def test_a_sandbox_comes_up_in_an_empty_folder_without_another_command(tmp_path: Path):
    environment = {**os.environ, "XINYI_DATA_DIR": str(tmp_path / "not" / "there")}
    command = [sys.executable, "-m", "xinyi", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert str(tmp_path / "not" / "there") in process.stderr.readline(), "it says which database it has made"
        url = process.stderr.readline().split()[-1]
        try:
            assert httpx.get(f"{url}/health/ready").status_code == 200
        finally:
            process.terminate()


async def test_on_sigterm_every_worker_finishes_what_is_under_way(tmp_path: Path, servers: Servers):
    with server_process(tmp_path, servers, "--workers", "2") as server:
        async with httpx.AsyncClient(base_url=server.url, limits=httpx.Limits(max_connections=20)) as http:
            await asyncio.gather(*(http.get("/v1/scenarios") for _ in range(20)))
            asked = [asyncio.create_task(http.get("/v1/scenarios")) for _ in range(20)]
            await asyncio.sleep(0)
            server.process.send_signal(signal.SIGTERM)
            answered = await asyncio.gather(*asked)
        assert [response.status_code for response in answered] == [200] * 20
        assert await asyncio.to_thread(server.process.wait, 15) == 0
