"""The tutorial does what it says, step by step, as printed."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.person import Person
from demo.sandbox import Sandbox
from demo.sdk import quickstart
from demo.serve import MEMBERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial" / "first-check.md").read_text("utf-8")
BLOCKS = re.findall(r"<!-- tests/docs/test_tutorial.py .*? -->\n```python\n(.*?)```", PAGE, re.DOTALL)
PATIENCE = 30
"""Seconds until the partner is told: the page says a moment."""


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Sandbox]]:
    """What `make serve` leaves running, with the variables that it prints."""
    sandbox = Sandbox(tmp_path, lambda words: None)
    sandbox.fill()
    bikes = sandbox.add_member("bikes", *MEMBERS["bikes"])
    with sandbox.serving("--port", "0") as url:
        monkeypatch.setenv("XINYI_SDK_BASE_URL", url)
        monkeypatch.setenv("XINYI_SDK_CLIENT_ID", bikes.client_id)
        monkeypatch.setenv("XINYI_SDK_PRIVATE_KEY_FILE", bikes.private_key)
        yield url, sandbox


def test_the_first_check(
    running: tuple[str, Sandbox], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, sandbox = running
    example = quickstart("README.md")
    person = Person(url)
    seen: list[str] = []

    def as_resident_a(_prompt: str) -> str:
        person.visit(capsys.readouterr().out.split()[-1])
        person.press("persona", "person-a")
        person.press("decision", "preview")
        seen.extend(person.page.texts("p", "preview"))
        return person.press("decision", "agree")

    def as_resident_d(_prompt: str) -> str:
        person.visit(capsys.readouterr().out.split()[-1])
        person.press("decision", "switch")
        person.press("persona", "person-d")
        return person.press("decision", "agree")

    for decide, said in ((as_resident_a, "no deposit"), (as_resident_d, "the usual deposit")):
        monkeypatch.setattr("builtins.input", decide)
        exec(example, {})  # noqa: S102 (what the page prints)
        assert capsys.readouterr().out.strip() == said
        assert f"`{said}`" in PAGE or f"```\n{said}\n```" in PAGE
    assert "满足" in seen

    person.visit("/me/access-log")
    assert person.page.pair("对方业务编号") in example
    assert any(line.startswith("已写入公开账本") for line in person.page.texts("p", "log"))

    person.visit("/me")
    (consent,) = re.findall(r"cns_\w+", " ".join(person.page.texts("p")))
    person.press("", "", at=f"/me/consents/{consent}/withdraw")
    again, listen = BLOCKS
    exec(again.replace("cns_…", consent), {})  # noqa: S102
    assert capsys.readouterr().out.startswith("consent_withdrawn - ")

    end = time.monotonic() + PATIENCE
    told = ""
    while "consent.withdrawn" not in told and time.monotonic() < end:
        exec(listen, {})  # noqa: S102
        told = capsys.readouterr().out
    assert told.splitlines()[-1] == f"consent.withdrawn {consent}"
    person.close()

    assert "The ledger is sound" in sandbox.command("ledger", "verify")
