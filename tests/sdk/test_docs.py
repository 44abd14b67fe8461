"""The pages about the SDK: their examples run as printed, and the reference of errors is that of the classes."""

import hmac
import json
import re
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools import sdk_errors
from xinyi_sdk.cli import parser
from xinyi_sdk.testing import FakeXinyi

PAGES = sdk_errors.ROOT / "docs" / "sdk"
EXAMPLE = re.compile(r"<!-- run by tests/sdk/test_docs.py -->\n```python\n(.*?)```", re.DOTALL)
SECRET = "whsec_" + b64encode(b"twenty-four random bytes").decode()


def run(page: str, names: dict[str, Any]) -> dict[str, Any]:
    """Runs a page's examples one after the other, as one program."""
    examples = EXAMPLE.findall((PAGES / page).read_text("utf-8"))
    assert examples
    for example in examples:
        exec(compile(example, page, "exec"), names)  # noqa: S102
    return names


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_ask_for_a_consent(fake_xinyi: FakeXinyi, capsys: pytest.CaptureFixture[str]) -> None:
    class Callback:
        """The address that the customer comes back to, known once they were sent away."""

        def __init__(self) -> None:
            self.sent: list[str] = []

        def __call__(self, url: str) -> None:
            names["callback_url"] = fake_xinyi.browse(url)

    def show(_: str, link: str) -> None:
        fake_xinyi.decide(link.rpartition("/")[2])

    names: dict[str, Any] = {"session": {}, "redirect_to": Callback(), "offer_the_fallback": pytest.fail, "show": show}
    run("ask-for-a-consent.md", names)
    assert capsys.readouterr().out == "authorised\n"


def test_check_and_decide(fake_xinyi: FakeXinyi, capsys: pytest.CaptureFixture[str]) -> None:
    decide = run("check-and-decide.md", {"consent_id": fake_xinyi.consent("microloan-prescreen").id})["decide"]
    assert capsys.readouterr().out == "True\n"
    said = [
        decide(fake_xinyi.consent("microloan-prescreen", each).id, "LOAN-1")
        for each in ("met", "not_evidenced", "withdrawn", "unavailable")
    ]
    assert said == [
        "the fast lane",
        "the ordinary way",
        "the ordinary way: consent_withdrawn",
        "the ordinary way: try again later",
    ]


def test_keep_receipts(fake_xinyi: FakeXinyi, capsys: pytest.CaptureFixture[str]) -> None:
    names = run("keep-receipts.md", {"consent_id": fake_xinyi.consent("bike-deposit").id})
    assert capsys.readouterr().out == "True\n"
    assert [each.error for each in names["archive"].verify()] == [None]


def test_run_a_batch(fake_xinyi: FakeXinyi, capsys: pytest.CaptureFixture[str]) -> None:
    consents = [fake_xinyi.consent("bike-deposit", each).id for each in ("met", "not_evidenced", "withdrawn")]
    run("run-a-batch.md", {"consents": consents})
    assert capsys.readouterr().out == "0/3\n3/3\n1 met 1 refused\n"


def test_hear_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"type": "consent.withdrawn", "timestamp": "2026-11-02T08:00:00Z", "data": {"consent_id": "cns_1"}}
    body, stamp, stopped = json.dumps(event).encode(), str(int(time.time())), list[str]()
    signature = hmac.new(b"twenty-four random bytes", f"evt_1.{stamp}.".encode() + body, sha256).digest()
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{b64encode(signature).decode()}",
    }
    given = {"body": body, "headers": headers, "secrets": [SECRET], "seen": set(), "stop_using": stopped.append}
    receive = run("hear-what-happens.md", given)["receive"]
    assert capsys.readouterr().out == "204\n"
    assert receive(body, headers) == 204
    assert receive(body + b" ", headers) == 400
    assert stopped == ["cns_1"]


@pytest.mark.parametrize("name", ["test_met", "test_not_evidenced", "test_withdrawn", "test_rate_limited"])
def test_test_your_program(fake_xinyi: FakeXinyi, name: str) -> None:
    run("test-your-program.md", {})[name](fake_xinyi)


def test_each_test_on_that_page_has_three_lines() -> None:
    (example,) = EXAMPLE.findall((PAGES / "test-your-program.md").read_text("utf-8"))
    tests = re.findall(r"^def test_\w+\(fake_xinyi\):\n((?:    .*\n)+)", example, re.MULTILINE)
    assert [len(each.splitlines()) <= 3 for each in tests] == [True] * 4


def test_change_keys(fake_xinyi: FakeXinyi, capsys: pytest.CaptureFixture[str]) -> None:
    key = fake_xinyi.environment["XINYI_SDK_PRIVATE_KEY"]
    run("change-keys.md", {"secret_manager": SimpleNamespace(read=lambda _: key)})
    assert capsys.readouterr().out.startswith("Xinyi(base_url=")


def test_run_in_production(fake_xinyi: FakeXinyi, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    histogram = SimpleNamespace(observe=lambda seconds, labels: seen.append(labels))
    assert fake_xinyi.pauses == []
    run("run-in-production.md", {"histogram": histogram})
    assert seen[0] == ("GET", 200)
    assert capsys.readouterr().out == "200 True\n"


def test_the_reference_of_errors_is_that_of_the_classes() -> None:
    assert sdk_errors.PAGE.read_text("utf-8") == sdk_errors.page(), "run 'make sdk-errors'"


def test_every_page_is_listed() -> None:
    listed = (PAGES / "README.md").read_text("utf-8")
    assert not [page.name for page in PAGES.glob("*.md") if page.name != "README.md" and f"({page.name})" not in listed]


def test_every_command_and_option_is_in_the_reference() -> None:
    page = (PAGES / "commands.md").read_text("utf-8")
    for words, options in commands(parser()):
        assert f"\n## `xinyi-sdk {words}`\n" in page, words
        section = page.partition(f"\n## `xinyi-sdk {words}`\n")[2].partition("\n## ")[0]
        assert not [option for option in options if f"`{option}" not in section], words


def commands(program: Any, words: str = "") -> list[tuple[str, list[str]]]:
    """Each command that does something, and its options."""
    below = [action for action in program._actions if action.__class__.__name__ == "_SubParsersAction"]
    if not below:
        options = [each.option_strings[-1] for each in program._actions if each.option_strings]
        return [(words, [option for option in options if option != "--help"])]
    return [found for name, child in below[0].choices.items() for found in commands(child, f"{words} {name}".strip())]
