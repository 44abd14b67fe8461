"""What operators do and see by command, on the database that a server works on."""

import asyncio
import csv
import json
import os
import pwd
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import Struct

from tests.support.clock import ManualClock
from tests.support.pairs import Embedded
from tests.support.world import World, ask, new_world
from xinyi.cli import main
from xinyi.cli.accounts import account

BIKE, LIBRARY = "bike-deposit", "library-lending"


class Installed(Struct):
    """What stands in the installation: a partner with an answer and a refusal, a dispute, a receiver that is away."""

    partner_id: str
    client_id: str
    consent_id: str
    subject_id: str
    dispute_id: str
    subscription_id: str


@pytest.fixture
def installed(tmp_path: Path, embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> Installed:
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SUDO_USER", "operator-7")
    monkeypatch.chdir(tmp_path)
    return asyncio.run(install(tmp_path, embedded))


async def install(folder: Path, pair: Embedded) -> Installed:
    clock = ManualClock(datetime.now(UTC))
    away = {"outbound_loopback": "http://127.0.0.1:9", "event_retries": "0.001", "event_timeout": 0.2}
    async with new_world(folder, pair, clock, **away) as world:
        await world.services.event_worker.stop()
        client, person = await world.client(BIKE, kind="bike-share"), await world.subject()
        assert client.partner_id is not None
        consent = await world.consent(client, BIKE, person)
        await world.check(ask(client, consent, reference="CASE-7"))
        clock.advance(timedelta(seconds=1))
        await world.check(ask(client, consent, scenario=LIBRARY))
        record_id = await world.record(person, "VOLUNTEER", hours_band="h20-99", stars=2)
        async with world.services.database.transaction() as tx:
            dispute = await world.services.disputes.open(tx, person.id, record_id, "it was two years")
        subscription, _ = await world.services.events.subscribe(
            client.partner_id, url="http://127.0.0.1:9/events", types=None, description=""
        )
        await tell_in_vain(world)
        return Installed(client.partner_id, client.id, consent.id, person.id, dispute.id, subscription.id)


async def tell_in_vain(world: World) -> None:
    """That the subject agreed."""
    for _ in range(2):
        await world.services.event_worker.drain()
        world.clock.advance(timedelta(seconds=1))


def xinyi(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def done(*words: str) -> str:
    result = xinyi(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_partner_is_shown_whole(installed: Installed):
    shown = json.loads(done("partners", "show", installed.partner_id, "--json"))
    assert shown["status"] == "active"
    assert [(each["id"], each["scenarios"]) for each in shown["clients"]] == [(installed.client_id, [BIKE])]
    assert [(each["scenario"], each["answered"], each["refused"]) for each in shown["usage"]] == [
        (BIKE, 1, 0),
        (LIBRARY, 0, 1),
    ]
    assert [each["id"] for each in shown["event_subscriptions"]] == [installed.subscription_id]
    text = done("partners", "show", installed.partner_id)
    assert all(word in text for word in (installed.partner_id, installed.client_id, BIKE, "127.0.0.1:9"))
    assert xinyi("partners", "show", "prt_nobody").exit_code == 1


def test_the_environment_alone_makes_nobody_another(monkeypatch: pytest.MonkeyPatch):
    own = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert account() == own
    monkeypatch.setenv("SUDO_USER", "operator\x1b[2K-7" + "x" * 100)
    assert account().startswith("operator[2K-7x")
    assert account().endswith(f" as {own}")


def test_a_suspension_is_undone_and_both_stand_in_the_audit(installed: Installed):
    assert xinyi("partners", "suspend", installed.partner_id, "--reason", " ").exit_code == 1
    assert json.loads(done("partners", "list", "--json"))[0]["status"] == "active", "nothing without its entry"
    done("partners", "suspend", installed.partner_id, "--reason", "合同到期")
    assert json.loads(done("partners", "list", "--json"))[0]["status"] == "suspended"
    done("partners", "unsuspend", installed.partner_id, "--reason", "续签合同")
    assert json.loads(done("partners", "list", "--json"))[0]["status"] == "active"

    by = f"operator-7 as {pwd.getpwuid(os.getuid()).pw_name}"
    entries = json.loads(done("audit", "acts", "--about", installed.partner_id, "--json"))
    assert [(entry["by"], entry["act"], entry["reason"]) for entry in entries] == [
        (by, "partner.unsuspended", "续签合同"),
        (by, "partner.suspended", "合同到期"),
    ]
    assert "暂停接入机构 / Partner suspended" in done("audit", "acts")
    assert json.loads(done("audit", "acts", "--to", "2026-01-01", "--json")) == []


def test_the_query_log_has_time_caller_authoriser_and_purpose_and_no_answer(installed: Installed):
    refused, asked = json.loads(done("audit", "checks", "--json"))
    assert (asked["partner_id"], asked["client_id"], asked["consent_id"], asked["reference"], asked["refusal"]) == (
        installed.partner_id,
        installed.client_id,
        installed.consent_id,
        "CASE-7",
        None,
    )
    assert asked["subject"].startswith("psn_")
    assert asked["authorised_at"] <= asked["at"]
    assert asked["purpose"]["zh"]
    assert refused["refusal"] == "scenario_mismatch"
    whole = json.dumps([asked, refused])
    assert not any(word in whole for word in ("not_evidenced", "met", installed.subject_id))
    line = next(line for line in done("audit", "checks").splitlines() if "CASE-7" in line)
    assert f"{asked['purpose']['zh']} / {asked['purpose']['en']}" in line


@pytest.mark.parametrize(
    ("option", "value", "count"),
    [
        ("--partner", lambda it: it.partner_id, 2),
        ("--partner", lambda _: "prt_nobody", 0),
        ("--scenario", lambda _: BIKE, 1),
        ("--consent", lambda it: it.consent_id, 2),
        ("--reference", lambda _: "CASE-7", 1),
        ("--from", lambda _: "2100-01-01", 0),
        ("--to", lambda _: "2020-01-01", 0),
        ("--limit", lambda _: "1", 1),
    ],
)
def test_the_query_log_is_filtered(installed: Installed, option: str, value: Callable[[Installed], str], count: int):
    assert len(json.loads(done("audit", "checks", option, value(installed), "--json"))) == count


def test_a_dispute_is_listed_without_its_subject_and_answered_once(installed: Installed):
    [listed] = json.loads(done("disputes", "list", "--json"))
    assert (listed["id"], listed["state"], listed["statement"]) == (installed.dispute_id, "open", "it was two years")
    assert installed.subject_id not in json.dumps(listed)
    table = done("disputes", "list")
    assert installed.dispute_id in table
    assert " 23:59" in table, "the last minute, as the subject is shown it"

    words = ("--words", "来源单位已核实", "--reason", "来源单位逾期")
    answer = ("disputes", "answer", installed.dispute_id, "--outcome", "upheld", *words)
    done(*answer)
    again = xinyi(*answer)
    assert again.exit_code == 1
    assert json.loads(done("disputes", "list", "--json")) == []
    [settled] = json.loads(done("disputes", "list", "--all", "--json"))
    assert (settled["state"], settled["settled_by"], settled["answer"]) == ("upheld", "operator", "来源单位已核实")
    [entry] = json.loads(done("audit", "acts", "--json"))
    assert (entry["act"], entry["about"], entry["reason"]) == ("dispute.answered", installed.dispute_id, "来源单位逾期")


def test_a_correction_is_read_from_a_file(installed: Installed, tmp_path: Path):
    file = tmp_path / "correction.json"
    file.write_text("{}")
    words = ("--words", "已更正", "--reason", "来源单位逾期", "--correction", str(file))
    assert xinyi("disputes", "answer", installed.dispute_id, "--outcome", "corrected", *words).exit_code == 2
    today = datetime.now(UTC).isoformat()
    said = {"region": "990001", "observed_at": today, "fields": {"hours_band": "h100-299", "stars": 3}}
    file.write_text(json.dumps(said))
    done("disputes", "answer", installed.dispute_id, "--outcome", "corrected", *words)
    assert json.loads(done("disputes", "list", "--all", "--json"))[0]["state"] == "corrected"


def test_usage_is_exported_and_priced(installed: Installed, tmp_path: Path):
    done("usage", "price", BIKE, "0.05", "--reason", "成本补偿")
    done("usage", "price", BIKE, "0.02", "--partner", installed.partner_id, "--reason", "政府采购")
    assert xinyi("usage", "price", BIKE, "1.00001", "--reason", "x").exit_code == 2
    assert xinyi("usage", "price", BIKE, "1", "--since", "2020-01-01", "--reason", "x").exit_code == 1
    assert xinyi("usage", "price", "nothing-like-that", "1", "--reason", "x").exit_code == 1
    assert [each["CNY"] for each in json.loads(done("usage", "prices", "--json"))] == ["0.0500", "0.0200"]

    rows = list(csv.DictReader(StringIO(done("usage", "show", "--csv", "-"))))
    assert [(row["scenario"], row["answered"], row["refused"], row["amount"]) for row in rows] == [
        (BIKE, "1", "0", "0.0200"),
        (LIBRARY, "0", "1", "0.0000"),
    ]
    file = tmp_path / "usage.csv"
    done("usage", "show", "--csv", str(file))
    assert file.read_bytes().startswith(b"\xef\xbb\xbfperiod,")
    assert json.loads(done("usage", "show", "--by", "day", "--json"))[0]["partner"] == installed.partner_id
    assert BIKE in done("usage", "show")


def test_what_did_not_arrive_is_seen_and_sent_again(installed: Installed):
    [seen] = json.loads(done("events", "subscriptions", "--json"))
    assert (seen["id"], seen["status"], seen["dead"]) == (installed.subscription_id, "enabled", 1)
    [dead] = json.loads(done("events", "dead", installed.subscription_id, "--json"))
    assert dead["event_type"] == "consent.authorised"
    assert dead["event_id"] in done("events", "dead", installed.subscription_id)
    redeliver = ("events", "redeliver", installed.subscription_id, "--reason", "receiver is back")
    assert "1 events are sent again" in done(*redeliver)
    [seen] = json.loads(done("events", "subscriptions", "--partner", installed.partner_id, "--json"))
    assert (seen["pending"], seen["dead"]) == (1, 0)
    assert "1 events" in done(*redeliver, "--event", dead["event_id"])
    assert xinyi(*redeliver, "--event", "evt_1", "--since", "2026-01-01").exit_code == 2
    assert xinyi("events", "dead", "evs_nothing").exit_code == 1
