"""The fake platform: what a partner's own tests are written with, and that it speaks as the platform does."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import xinyi_sdk
from tests.sdk.conftest import result
from xinyi_sdk import AsyncXinyi, Xinyi
from xinyi_sdk.testing import AskedCheck, FakeXinyi
from xinyi_sdk.testing._cases import scenarios

ROOT = Path(__file__).resolve().parents[2]
BACK = "https://bikes.example/back?city=1"


def deposit(consent_id: str) -> int:
    """A partner's program, which makes its own client."""
    with Xinyi() as xinyi:
        try:
            answer = xinyi.checks.create(scenario="bike-deposit", consent_id=consent_id, reference="RIDE-1")
        except xinyi_sdk.ConsentError:
            return 199
        return 0 if answer.met else 199


# Three lines each: what the documentation shows


def test_met(fake_xinyi: FakeXinyi) -> None:
    consent = fake_xinyi.consent("bike-deposit", "met")
    assert deposit(consent.id) == 0


def test_not_evidenced(fake_xinyi: FakeXinyi) -> None:
    consent = fake_xinyi.consent("bike-deposit", "not_evidenced")
    assert deposit(consent.id) == 199


def test_withdrawn(fake_xinyi: FakeXinyi) -> None:
    consent = fake_xinyi.consent("bike-deposit", "withdrawn")
    assert deposit(consent.id) == 199


def test_rate_limited(fake_xinyi: FakeXinyi) -> None:
    consent = fake_xinyi.consent("bike-deposit", "rate_limited")
    with pytest.raises(xinyi_sdk.RateLimited):
        deposit(consent.id)


# What it is


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, fake_xinyi: FakeXinyi) -> Any:
    return Xinyi() if request.param == "sync" else AsyncXinyi()


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ("paused", xinyi_sdk.ConsentPaused),
        ("expired", xinyi_sdk.ConsentExpired),
        ("consumed", xinyi_sdk.ConsentConsumed),
        ("outdated", xinyi_sdk.ConsentOutdated),
        ("not_entitled", xinyi_sdk.NotEntitled),
        ("partner_suspended", xinyi_sdk.PartnerSuspended),
        ("unavailable", xinyi_sdk.Unavailable),
    ],
)
async def test_a_consent_refuses_as_it_was_told(
    client: Any, fake_xinyi: FakeXinyi, answers: str, error: type[xinyi_sdk.APIError]
) -> None:
    consent = fake_xinyi.consent("bike-deposit", answers)
    with pytest.raises(error):
        await result(client.checks.create(scenario="bike-deposit", consent_id=consent.id, reference="R"))
    assert set(fake_xinyi.checks) == {AskedCheck("bike-deposit", consent.id, "R")}


@pytest.mark.parametrize("name", sorted(scenarios()))
def test_every_published_case_is_answered_with_a_receipt_that_verifies(name: str) -> None:
    fake = FakeXinyi()
    with fake.client() as client:
        scenario = client.scenarios.get(name)
        for case_id, case in scenarios()[name]["cases"].items():
            consent = fake.consent(name, case=case_id)
            answer = client.checks.create(scenario=name, consent_id=consent.id, reference=case_id)
            assert answer.outcome == case["outcome"]
            assert {each.id: each.outcome for each in answer.criteria.values()} == case["criteria"]
            assert answer.disclosed == case["disclosed"]
            assert (
                answer.receipt.verify(reference=case_id).scenario_digest == scenario.digest == consent.scenario.digest
            )


async def test_the_whole_way_of_a_customer(client: Any, fake_xinyi: FakeXinyi) -> None:
    request = await result(client.consents.start(scenario="microloan-prescreen", redirect_uri=BACK))
    callback = fake_xinyi.browse(request.url, case="short-tax-on-time")
    consent = await result(client.consents.finish(callback, request))
    answer = await result(client.checks.create(scenario=consent.scenario.id, consent_id=consent.id, reference="L-1"))
    assert not answer.criteria["tax-on-time"].met
    assert await result(client.checks.get(answer.id)) == answer
    fake_xinyi.withdraw(consent.id)
    with pytest.raises(xinyi_sdk.ConsentWithdrawn):
        await result(client.checks.receipt(answer.id))
    assert (await result(client.consents.get(consent.id))).ended.by == "subject"

    refused = await result(client.consents.start(scenario="bike-deposit", redirect_uri=BACK))
    with pytest.raises(xinyi_sdk.ConsentRefused):
        await result(client.consents.finish(fake_xinyi.browse(refused.url, agree=False), refused))


async def test_a_customer_at_the_counter(client: Any, fake_xinyi: FakeXinyi) -> None:
    whom = {"scenario": "bike-deposit", "subject": "990001199003070011"}
    asked = await result(client.consents.ask(**whom, sub_party="sbp_1"))
    assert asked.link.endswith(asked.id)
    assert asked.qr_svg.startswith("<svg")
    check = {"scenario": "bike-deposit", "consent_id": asked.id, "reference": "R"}
    with pytest.raises(xinyi_sdk.ConsentRequired):
        await result(client.checks.create(**check))
    fake_xinyi.decide(asked.id, "not_evidenced")
    assert (await result(client.consents.wait(asked.id))).usable
    assert not (await result(client.checks.create(**check))).met
    refused = await result(client.consents.ask(**whom, sub_party="sbp_2"))
    fake_xinyi.decide(refused.id, agree=False)
    assert (await result(client.consents.wait(refused.id))).state == xinyi_sdk.ConsentState.REJECTED
    for filters in ({"state": "authorised"}, {"sub_party": "sbp_1"}):
        found = client.consents.list(**filters)
        ids = [each.id async for each in found] if isinstance(found, AsyncIterator) else [each.id for each in found]
        assert ids == [asked.id]


async def test_failures_pass_and_nobody_waits(client: Any, fake_xinyi: FakeXinyi) -> None:
    consent = fake_xinyi.consent("bike-deposit")
    fake_xinyi.fail("rate_limited", times=2, retry_after=30)
    await result(client.checks.create(scenario="bike-deposit", consent_id=consent.id, reference="R"))
    assert [round(pause) for pause in fake_xinyi.pauses] == [30, 30]
    fake_xinyi.fail("unavailable", retry_after=3600)
    with pytest.raises(xinyi_sdk.Unavailable) as caught:
        await result(client.checks.create(scenario="bike-deposit", consent_id=consent.id, reference="R"))
    assert caught.value.retry_after == 3600


def test_a_once_only_consent_is_used_up_and_a_key_is_one_check(fake_xinyi: FakeXinyi) -> None:
    once = next(name for name, each in scenarios().items() if each["view"]["consent"]["uses"] == "once")
    consent = fake_xinyi.consent(once)
    with Xinyi() as client:
        ask = {"scenario": once, "consent_id": consent.id, "reference": "R"}
        answer = client.checks.create(**ask, idempotency_key="mine")
        assert client.checks.create(**ask, idempotency_key="mine") == answer
        with pytest.raises(xinyi_sdk.IdempotencyKeyReused):
            client.checks.create(**{**ask, "reference": "S"}, idempotency_key="mine")
        with pytest.raises(xinyi_sdk.ConsentConsumed):
            client.checks.create(**ask)


def test_a_batch_is_done_at_once(fake_xinyi: FakeXinyi, tmp_path: Path) -> None:
    consents = [fake_xinyi.consent("bike-deposit", each) for each in ("met", "not_evidenced", "withdrawn")]
    with Xinyi() as client:
        items = [
            xinyi_sdk.Question(scenario="bike-deposit", consent_id=each.id, reference=f"R-{n}")
            for n, each in enumerate(consents)
        ]
        batch = client.batches.run(items=items, out=tmp_path / "out")
        assert (batch.outcomes, batch.refused) == (xinyi_sdk.BatchOutcomes(met=1, not_evidenced=1), 1)
        assert isinstance(list(client.batches.items(batch.id))[2].error, xinyi_sdk.ConsentWithdrawn)


def test_what_isnt_there_is_a_mistake_of_the_test(fake_xinyi: FakeXinyi) -> None:
    for arguments, known in (
        ({"scenario": "x"}, "bike-deposit"),
        ({"scenario": "bike-deposit", "answers": "x"}, "rate_limited"),
        ({"scenario": "microloan-prescreen", "case": "x"}, "short-tax-on-time"),
    ):
        with pytest.raises(KeyError, match=known):
            fake_xinyi.consent(**arguments)
    with pytest.raises(KeyError, match="unavailable"):
        fake_xinyi.fail("x")


def test_it_answers_as_the_api_document_says(fake_xinyi: FakeXinyi) -> None:
    document = yaml.safe_load((ROOT / "openapi" / "xinyi.yaml").read_text("utf-8"))
    consent, ended = fake_xinyi.consent("microloan-prescreen"), fake_xinyi.consent("bike-deposit", "withdrawn")
    seen: list[xinyi_sdk.ResponseReceived] = []

    def keep(event: xinyi_sdk.CallEvent) -> None:
        if isinstance(event, xinyi_sdk.ResponseReceived) and "/v1/" in event.url:
            seen.append(event)

    with Xinyi(on_event=keep) as client:
        ask = {"scenario": "microloan-prescreen", "reference": "R"}
        answer = client.checks.create(**ask, consent_id=consent.id)
        client.checks.get(answer.id)
        client.checks.receipt(answer.id)
        client.scenarios.list()
        client.scenarios.get("microloan-prescreen")
        client.consents.get(consent.id)
        client.consents.get(ended.id)
        client.consents.get(client.consents.ask(scenario="bike-deposit", subject="990001199003070011").id)
        list(client.consents.list())
        client.consents.withdraw(consent.id)
        kept = client.ledger.checkpoint()
        client.ledger.consistency(first=1)
        assert client.ledger.grown(kept).root_hash == kept.root_hash
        batch = client.batches.submit(items=[{**ask, "consent_id": ended.id}])  # type: ignore[typeddict-item]
        list(client.batches.items(batch.id))
        with pytest.raises(xinyi_sdk.ConsentWithdrawn):
            client.checks.create(**ask, consent_id=consent.id)
    assert len(seen) >= 14
    for response in seen:
        schema = _schema(document, response)
        errors = list(Draft202012Validator({**document, **schema}).iter_errors(_json(response)))
        assert not errors, (response.url, errors[0].message, list(errors[0].absolute_path))


def _json(response: xinyi_sdk.ResponseReceived) -> Any:
    return json.loads(response.body)


def _schema(document: Any, response: xinyi_sdk.ResponseReceived) -> Any:
    path = response.url.removeprefix("https://xinyi.test").partition("?")[0]
    parts = path.split("/")
    for template, operations in document["paths"].items():
        names = template.split("/")
        if len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        ):
            found = operations[response.method.lower()]["responses"][str(response.status)]["content"]
            kind = response.headers["content-type"]
            assert kind in found, (path, kind)
            return found[kind]["schema"]
    raise AssertionError(path)


def test_the_plugin_costs_other_test_runs_nothing(tmp_path: Path) -> None:
    command = "import sys, xinyi_sdk.pytest_plugin; print(*{name.partition('.')[0] for name in sys.modules})"

    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.split()
    assert not {"httpx", "joserfc", "cryptography"} & set(loaded)
