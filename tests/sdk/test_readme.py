"""The README's examples run as printed."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from tests.sdk.platform import CLIENT, ISSUER, Platform, Time
from xinyi_sdk.cli import main

README = Path(__file__).parents[2] / "sdk" / "README.md"


def examples() -> list[str]:
    marked = re.compile(r"<!-- run by tests/sdk/test_readme.py -->\n```python\n(.*?)```", re.DOTALL)
    return marked.findall(README.read_text("utf-8"))


def test_the_examples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["keygen", "--out", "keys"]) == 0
    capsys.readouterr()
    key = ECKey.import_key(Path("keys/private-key.pem").read_bytes())
    platform = Platform(Time(), key.as_dict(private=True))
    platform.offset = 0  # the README's client has the machine's clock: it must learn the platform's
    real_client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **_: real_client(transport=platform.transport()))
    names: dict[str, Any] = {"base_url": ISSUER, "client_id": CLIENT, "send_the_customer_to": platform.browse}

    first, second, third = examples()
    exec(first, names)  # noqa: S102
    assert capsys.readouterr().out == "no deposit\n"
    platform.consent_state = "withdrawn"
    exec(second, names)  # noqa: S102
    assert capsys.readouterr().out.startswith("consent_withdrawn - Offer the scenario's fallback")
    exec(third, names)  # noqa: S102
    assert capsys.readouterr().out.splitlines() == [f"RIDE-2026-000{n} met" for n in (200, 201, 202)]


def test_the_first_example_is_ten_lines() -> None:
    lines = [line for line in examples()[0].splitlines() if line.strip()]
    assert len(lines) <= 10
