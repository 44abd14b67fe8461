"""A client that is brought along to the sandbox."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from joserfc.jwk import ECKey

from tests.support.production import PRODUCTION_ENVIRON
from xinyi.cli import main
from xinyi.cli.sandbox_serve import _prepare
from xinyi.settings import Settings

BACK = ("http://127.0.0.1:8080/callback",)


def jwks() -> dict[str, object]:
    return {"keys": [{**ECKey.generate_key("P-256").as_dict(private=False), "kid": "k1"}]}


async def test_the_same_keys_are_the_same_client_the_next_time(tmp_path: Path):
    settings, keys = Settings(data_dir=tmp_path), jwks()
    first = await _prepare(settings, keys, BACK, "bike-deposit")
    assert first.partner is not None
    assert first.partner.kind == "bike-share"
    assert (await _prepare(settings, keys, BACK, "bike-deposit")).id == first.id
    assert (await _prepare(settings, keys, BACK, "library-lending")).id != first.id
    assert (await _prepare(settings, jwks(), BACK, "bike-deposit")).id != first.id


def test_it_exists_in_the_sandbox_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jwks.json").write_text("{}")
    for name, value in PRODUCTION_ENVIRON.items():
        monkeypatch.setenv(name, value)
    refused = CliRunner().invoke(main, ["sandbox", "serve", "--jwks", "jwks.json", "--redirect-uri", BACK[0]])
    assert (refused.exit_code, refused.output) == (1, "Error: 当前安装不是沙箱 / this is not a sandbox\n")
