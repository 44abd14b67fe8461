"""The recipe for sending records over HTTP, as printed, against the real app; and the same without blocking."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import LiveServer, running_server
from xinyi.app import create_app
from xinyi.kernel.text import Text
from xinyi.sandbox import personas
from xinyi.settings import Settings
from xinyi.wiring import Services
from xinyi_sdk import AsyncXinyi, NotFound, Xinyi
from xinyi_sdk.cli import main

RECIPE = Path(__file__).parents[2] / "docs" / "how-to" / "import-records.md"
EXAMPLE = re.compile(r"<!-- run by tests/sdk/test_records.py -->\n```python\n(.*?)```", re.DOTALL)
ROW = {
    "subject": next(each.identifier.value for each in personas.personas() if each.id == "person-a"),
    "record_type": "UTIL_WATER",
    "source_ref": "2026-10/17",
    "region": "990001",
    "observed_at": "2025-10-21",
    "fields": {"months_no_arrears": 8, "as_of": "2025-09-30"},
}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A source's program beside a running platform, with a file to send in its folder."""
    monkeypatch.chdir(tmp_path)
    assert main(["keygen", "--out", "keys"]) == 0
    good, bad = json.dumps(ROW), json.dumps({**ROW, "source_ref": "2026-10/18", "region": "123"})
    Path("october.ndjson").write_text(f"{good}\n{bad}\n")
    with running_server(lambda url: create_app(Settings(data_dir=tmp_path / "var", issuer=url))) as server:
        jwks = json.loads(Path("keys/jwks.json").read_text())
        yield {"base_url": server.url, "client_id": server.call(_register, tmp_path / "var", server, jwks)}


async def _register(folder: Path, server: LiveServer, jwks: Any) -> str:
    services = Services.build(Settings(data_dir=folder, issuer=server.url))
    async with services.opened(), services.database.transaction() as tx:
        name = Text("示例水务", "Sample Water Works")
        _, client = await services.partners.add_source(tx, "water-works", name, ["UTIL_WATER"], jwks)
        assert client is not None
        return client.id


def test_the_recipe_runs_as_printed_and_again(program: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = EXAMPLE.findall(RECIPE.read_text("utf-8"))
    capsys.readouterr()
    for _ in range(2):
        exec(compile(example, str(RECIPE), "exec"), dict(program))  # noqa: S102
    first, *again = capsys.readouterr().out.splitlines()
    assert first.startswith("rbt_")
    assert "'accepted': 1" in first
    assert "'rejected': 1" in first
    assert again == ["2 region region_unknown", first, "2 region region_unknown"]


def test_a_file_of_another_kind_is_not_sent(program: dict[str, Any]) -> None:
    with Xinyi(**program, private_key="keys/private-key.pem") as client:
        with pytest.raises(ValueError, match="must end with"):
            client.records.send("keys/jwks.json")
        with pytest.raises(NotFound):
            list(client.records.errors("rbt_nothing"))


def test_it_can_be_awaited(program: dict[str, Any]) -> None:
    async def send() -> list[str]:
        async with AsyncXinyi(**program, private_key="keys/private-key.pem") as client:
            batch = await client.records.send("october.ndjson")
            return [error.code async for error in client.records.errors(batch.id)]

    assert asyncio.run(send()) == ["region_unknown"]
