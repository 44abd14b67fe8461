"""What the documentation says about events is true, and its snippets work."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest

from xinyi.events.model import MEANINGS, Event, Failure
from xinyi.events.signing import new_secret, shown, signed_headers
from xinyi.settings import Settings
from xinyi_sdk import WebhookInvalid

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "receive-events.md").read_text("utf-8")

Receive = Callable[[bytes, dict[str, str], list[str]], str]


@pytest.fixture(params=["sdk", "alone"])
def receive(request: pytest.FixtureRequest) -> Receive:
    """The snippet with the SDK, and the one without."""
    found = re.search(rf"```python {request.param}\n(.*?)```", HOW_TO, re.DOTALL)
    assert found
    names: dict[str, Receive] = {}
    exec(dedent(found[1]), names)  # noqa: S102 (our own page)
    return names["receive"]


def test_the_snippets_take_what_is_sent_and_nothing_else(receive: Receive):
    secret, other = new_secret(), new_secret()
    now = datetime.now(UTC)
    event = Event("evt_1", "consent.withdrawn", now.replace(microsecond=0), {"consent_id": "cns_1"})
    headers = signed_headers(event.id, now, event.body(), [other, secret])
    assert receive(event.body(), headers, [shown(secret)]) == "evt_1"
    refused = (ValueError, WebhookInvalid)
    with pytest.raises(refused):
        receive(event.body().replace(b"cns_1", b"cns_2"), headers, [shown(secret)])
    with pytest.raises(refused):
        receive(event.body(), headers, [shown(new_secret())])
    old = signed_headers(event.id, now.replace(year=now.year - 1), event.body(), [secret])
    with pytest.raises(refused):
        receive(event.body(), old, [shown(secret)])


def test_each_type_is_in_the_reference():
    page = (DOCS / "reference" / "events.md").read_text("utf-8")
    missing = [f"| `{type_.value}` | {words.zh} | {words.en} |" for type_, words in MEANINGS.items()]
    assert [row for row in missing if row not in page] == []


def test_each_reason_is_in_the_reference_and_no_other():
    page = (DOCS / "reference" / "events.md").read_text("utf-8")
    table = page.partition("| failure |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [failure.value for failure in Failure]


def test_the_pauses_are_those_of_the_settings():
    assert Settings().event_schedule == (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert "5 seconds, 5 and 30 minutes, 2, 5, 10, 14, 20 and 24 hours" in HOW_TO
