"""The SDK against the platform itself: ``Xinyi`` over a socket and uvicorn, ``AsyncXinyi`` straight into the app."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import msgspec
import pytest

import xinyi_sdk
from tests.sdk.conftest import result
from tests.support.clock import ManualClock
from tests.support.oauth import forms
from tests.support.server import running_server
from xinyi.app import create_app
from xinyi.kernel.clock import Clock, SystemClock, whole_seconds
from xinyi.kernel.text import Text
from xinyi.partners.model import Client
from xinyi.records.rows import Format
from xinyi.sandbox import personas, sources
from xinyi.settings import Settings
from xinyi.wiring import Services
from xinyi_sdk import AsyncXinyi, ConsentRequest, Xinyi, errors
from xinyi_sdk._encoding import unb64url
from xinyi_sdk._engine import Sources
from xinyi_sdk.cli import main

BACK = "https://partner.example/back"
SCENARIOS = ("microloan-prescreen", "bike-deposit", "personal-loan")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "sdk" / "test-your-program.md"
TABLE = re.compile(r"\| sign in as \| `([\w-]+)` \| because \|\n\|---\|---\|---\|\n((?:\| .*\n)+)")
PERSONAS_TOLD = [
    (scenario, *re.findall(r"\| `?([^|`]+)`? ", row)[:2])
    for scenario, rows in TABLE.findall(PAGE.read_text("utf-8"))
    for row in rows.splitlines()
]
PERSONAS = {persona.id: persona for persona in personas.personas()}


class Stage:
    """A sandbox with its personas' records, one partner's client, and a browser for its subjects."""

    def __init__(
        self,
        client: Any,
        registered: Client,
        transport: httpx.AsyncBaseTransport | None,
        tell_events: Callable[[], Any] = lambda: None,
    ) -> None:
        self.client = client
        self.tell_events = tell_events
        self.registered = registered
        self._transport = transport

    async def browse(self, url: str, persona: str, *, agree: bool = True) -> str:
        """Signs in as the persona and decides: the address that the browser is sent back to."""
        async with httpx.AsyncClient(transport=self._transport) as browser:
            (sign_in, *_) = forms(await browser.get(url))
            entered = await browser.post(urljoin(url, sign_in.action), data={**sign_in.fields, "persona": persona})
            page = await browser.get(urljoin(url, entered.headers["location"]))
            (*_, consent) = forms(page)
            decision = {"decision": "agree" if agree else "refuse"}
            decided = await browser.post(urljoin(url, consent.action), data={**consent.fields, **decision})
            return str(decided.headers["location"])

    async def consent(self, scenario: str, persona: str) -> Any:
        """A consent that the persona gave."""
        request = await result(self.client.consents.start(scenario=scenario, redirect_uri=BACK))
        return await result(self.client.consents.finish(await self.browse(request.url, persona), request))

    async def check(self, consent: Any, **options: Any) -> Any:
        """A check under the consent."""
        options = {"scenario": consent.scenario.id, "consent_id": consent.id, "reference": "CASE-1", **options}
        return await result(self.client.checks.create(**options))


async def furnish(services: Services, clock: Clock, jwks: Any) -> Client:
    """Imports the personas' records and registers a client for some scenarios."""
    async with services.database.transaction() as tx:
        await sources.register(tx, services.partners)
        partner = await services.partners.add_partner(
            tx, Text("示例银行", "Sample Bank"), "bank", "privacy@bank.example"
        )
        client = await services.partners.add_client(
            tx, partner.id, "sdk", jwks, redirect_uris=[BACK], scenarios=dict.fromkeys(SCENARIOS)
        )
    rows = list(personas.rows(clock.now().date()))
    for source in sources.SOURCES:
        own = [msgspec.json.encode(row) for row in rows if sources.SOURCE_OF[row.record_type] == source.id]
        batch = await services.imports.open(source.id, Format.NDJSON, None)
        await services.imports.run(batch, BytesIO(b"\n".join(own)))
    return client


async def tell_events(folder: Path, issuer: str, clock: Clock) -> None:
    """What the events' worker does in its own time."""
    services = Services.build(Settings(data_dir=folder, issuer=issuer), clock)
    async with services.opened():
        await services.event_worker.drain()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``xinyi-sdk keygen`` makes."""
    folder = tmp_path_factory.mktemp("keys")
    assert main(["keygen", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module", params=["sync", "async"])
async def stage(
    request: pytest.FixtureRequest, keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Stage]:
    folder = tmp_path_factory.mktemp("sandbox")
    jwks = json.loads((keys / "jwks.json").read_text())
    options: dict[str, Any] = {"private_key": keys / "private-key.pem", "max_retries": 0}
    async with AsyncExitStack() as stack:
        if request.param == "sync":
            clock: Clock = SystemClock()
            server = stack.enter_context(
                running_server(lambda url: create_app(Settings(data_dir=folder, issuer=url), clock))
            )

            async def furnish_another() -> Client:
                services = Services.build(Settings(data_dir=folder, issuer=server.url), clock)
                async with services.opened():
                    return await furnish(services, clock, jwks)

            registered = server.call(furnish_another)
            sync = stack.enter_context(Xinyi(base_url=server.url, client_id=registered.id, **options))
            yield Stage(sync, registered, None, lambda: server.call(tell_events, folder, server.url, clock))
            return
        clock = ManualClock(whole_seconds(datetime.now(UTC)))  # the log's key is made on the machine's time
        issuer = "http://127.0.0.1:8000"
        app: Any = create_app(Settings(data_dir=folder, issuer=issuer), clock)
        await stack.enter_async_context(app.lifespan())
        services = Services.build(Settings(data_dir=folder, issuer=issuer), clock)
        async with services.opened():
            registered = await furnish(services, clock, jwks)
        transport = httpx.ASGITransport(app=app)
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport))
        client = await stack.enter_async_context(
            AsyncXinyi(base_url=issuer, client_id=registered.id, http_client=http, **options)
        )
        client._engine.sources = Sources(wall=lambda: clock.now().timestamp())  # no Date header comes from the bare app
        yield Stage(client, registered, transport, lambda: tell_events(folder, issuer, clock))


async def test_every_published_scenario_can_be_read(stage: Stage) -> None:
    summaries = await result(stage.client.scenarios.list())
    assert len(summaries) >= 17
    for summary in summaries:
        scenario = await result(stage.client.scenarios.get(summary.id))
        assert scenario.fallback.zh
        assert scenario.criteria
        assert (scenario.digest, scenario.consent) == (summary.digest, summary.consent)
        assert await result(stage.client.scenarios.get(summary.id, version=summary.version)) == scenario
    with pytest.raises(xinyi_sdk.NotFound):
        await result(stage.client.scenarios.get("no-such-scenario"))


async def test_from_consent_to_a_decision_that_can_be_proved(stage: Stage) -> None:
    consent = await stage.consent("microloan-prescreen", "company-a")
    assert consent.usable
    assert consent.subject
    answer = await stage.check(consent, reference="LOAN-2026-000123")
    assert answer.met
    assert answer.subject == consent.subject
    assert answer.scenario == consent.scenario
    assert answer.consent_expires_at == consent.expires_at
    assert all(criterion.met for criterion in answer.criteria.values())
    assert answer.disclosed["tax-rating"]["grade"] == "A"

    verified = answer.receipt.verify(reference="LOAN-2026-000123")
    assert (verified.id, verified.consent_id) == (answer.id, consent.id)
    assert verified.issuer == stage.client._engine.config.issuer
    assert verified.partner_id == stage.registered.partner_id
    jwks = await result(stage.client.ledger.jwks(refresh=True))
    assert xinyi_sdk.verify_receipt(str(answer.receipt), jwks, answer=answer) == verified
    for reference in ("LOAN-2026-000124", ""):
        with pytest.raises(xinyi_sdk.ReceiptInvalid, match="reference"):
            answer.receipt.verify(jwks, reference=reference)
    changed = msgspec.structs.replace(answer, disclosed={"tax-rating": {"grade": "B"}})
    with pytest.raises(xinyi_sdk.ReceiptInvalid, match=r"tax-rating\.grade"):
        xinyi_sdk.verify_receipt(answer.receipt, jwks, answer=changed)


@pytest.mark.parametrize("row", PERSONAS_TOLD, ids=lambda row: f"{row[0]}-{row[1]}")
async def test_each_persona_of_the_documentation_answers_as_it_says(stage: Stage, row: tuple[str, str, str]) -> None:
    scenario, persona, told = row
    answer = await stage.check(await stage.consent(scenario, persona))
    assert answer.outcome == told.replace(" ", "_")


async def test_a_threshold_that_isnt_reached_is_not_evidenced_and_discloses_no_value(stage: Stage) -> None:
    answer = await stage.check(await stage.consent("microloan-prescreen", "company-b"))
    assert answer.outcome == xinyi_sdk.Outcome.NOT_EVIDENCED
    assert not answer.criteria["social-insurance"].met
    assert answer.criteria["tax-rating"].met
    assert answer.disclosed == {}
    assert not answer.receipt.verify().met


async def test_an_earlier_answer_is_the_same_until_the_consent_is_withdrawn(stage: Stage) -> None:
    consent = await stage.consent("bike-deposit", "person-a")
    answer = await stage.check(consent)
    assert await result(stage.client.checks.get(answer.id)) == answer
    assert await result(stage.client.checks.receipt(answer.id)) == answer.receipt
    given_up = await result(stage.client.consents.withdraw(consent.id))
    assert given_up.state == xinyi_sdk.ConsentState.WITHDRAWN
    assert given_up.ended.by == "partner"
    assert await result(stage.client.consents.withdraw(consent.id)) == given_up
    for call in (stage.client.checks.get, stage.client.checks.receipt):
        with pytest.raises(xinyi_sdk.ConsentWithdrawn):
            await result(call(answer.id))
    with pytest.raises(xinyi_sdk.ConsentWithdrawn) as caught:
        await stage.check(consent)
    assert caught.value.request_id
    assert answer.receipt.verify().met, "the receipt at hand stays good"


async def test_a_batch_gives_what_calls_would(stage: Stage) -> None:
    met, other = await stage.consent("bike-deposit", "person-a"), await stage.consent("bike-deposit", "person-d")
    asked = [
        xinyi_sdk.Question(scenario="bike-deposit", consent_id=each, reference=f"RIDE-{n}")
        for n, each in enumerate([met.id, other.id, "cns_01kb0x4m9v5w8q2r7s3t6y1zab"] * 2, 1)
    ]
    seen: list[int] = []
    batch = await result(stage.client.batches.submit(items=asked))
    finished = await result(stage.client.batches.wait(batch.id, progress=lambda at: seen.append(at.done)))
    found = stage.client.batches.follow(batch.id)
    items = [item async for item in found] if isinstance(found, AsyncIterator) else list(found)

    assert (finished.answered, finished.refused, seen[-1]) == (4, 2, 6)
    assert finished.outcomes == xinyi_sdk.BatchOutcomes(met=2, not_evidenced=2)
    assert [item.met for item in items] == [True, False, False] * 2
    for item in items:
        if item.answer is None:
            assert isinstance(item.error, xinyi_sdk.ConsentRequired)
        else:
            assert item.answer == await result(stage.client.checks.get(item.answer.id))
            assert item.answer.receipt.verify(reference=item.reference).consent_id == item.consent_id
    await result(stage.client.consents.withdraw(met.id))
    again = stage.client.batches.items(batch.id)
    first = await anext(again) if isinstance(again, AsyncIterator) else next(again)
    assert isinstance(first.error, xinyi_sdk.ConsentWithdrawn)


async def test_a_repeated_key_gives_the_same_answer_and_another_body_is_refused(stage: Stage) -> None:
    consent = await stage.consent("bike-deposit", "person-a")
    answer = await stage.check(consent, idempotency_key="mine-1")
    assert await stage.check(consent, idempotency_key="mine-1") == answer
    with pytest.raises(xinyi_sdk.IdempotencyKeyReused):
        await stage.check(consent, idempotency_key="mine-1", reference="CASE-2")


async def test_a_once_only_consent_carries_one_check(stage: Stage) -> None:
    consent = await stage.consent("personal-loan", "person-b")
    await stage.check(consent)
    with pytest.raises(xinyi_sdk.ConsentConsumed):
        await stage.check(consent)


async def test_a_consent_is_for_its_scenario_alone(stage: Stage) -> None:
    consent = await stage.consent("bike-deposit", "person-a")
    with pytest.raises(xinyi_sdk.ScenarioMismatch):
        await stage.check(consent, scenario="personal-loan")


async def test_an_unknown_consent_is_not_found(stage: Stage) -> None:
    for call in (stage.client.consents.get, stage.client.consents.withdraw):
        with pytest.raises(xinyi_sdk.NotFound):
            await result(call("cns_01kb0x4m9v5w8q2r7s3t6y1zab"))
    create = stage.client.checks.create
    with pytest.raises(xinyi_sdk.ConsentRequired):
        await result(create(scenario="bike-deposit", consent_id="cns_01kb0x4m9v5w8q2r7s3t6y1zab", reference="C"))


async def test_a_bad_member_is_named(stage: Stage) -> None:
    consent = await stage.consent("bike-deposit", "person-a")
    with pytest.raises(xinyi_sdk.InvalidRequest) as caught:
        await stage.check(consent, reference="")
    assert caught.value.code == "invalid"
    assert caught.value.source == "/reference"


async def test_a_subject_may_refuse(stage: Stage) -> None:
    request = await result(stage.client.consents.start(scenario="bike-deposit", redirect_uri=BACK))
    back = await stage.browse(request.url, "person-a", agree=False)
    with pytest.raises(xinyi_sdk.ConsentRefused):
        await result(stage.client.consents.finish(back, request))


async def test_only_the_named_subject_can_consent(stage: Stage) -> None:
    subject = PERSONAS["person-a"].identifier.value
    start = stage.client.consents.start
    request = await result(start(scenario="bike-deposit", redirect_uri=BACK, subject=subject))
    with pytest.raises(xinyi_sdk.ConsentRefused):
        await result(stage.client.consents.finish(await stage.browse(request.url, "person-b"), request))
    request = await result(start(scenario="bike-deposit", redirect_uri=BACK, subject=subject))
    assert await result(stage.client.consents.finish(await stage.browse(request.url, "person-a"), request))


async def test_a_code_works_once_and_for_its_request(stage: Stage) -> None:
    start = stage.client.consents.start
    request, other = [await result(start(scenario="bike-deposit", redirect_uri=BACK)) for _ in range(2)]
    back = await stage.browse(request.url, "person-a")
    with pytest.raises(xinyi_sdk.CallbackInvalid):
        await result(stage.client.consents.finish(back, other))
    kept = ConsentRequest.from_json(request.to_json())
    assert await result(stage.client.consents.finish(back, kept))
    with pytest.raises(xinyi_sdk.AuthenticationError):
        await result(stage.client.consents.finish(back, request))


async def test_what_a_client_wasnt_given_it_cant_ask_for(stage: Stage) -> None:
    with pytest.raises(xinyi_sdk.InvalidRequest) as caught:
        await result(stage.client.consents.start(scenario="library-lending", redirect_uri=BACK))
    assert caught.value.code == "invalid_authorization_details"
    with pytest.raises(xinyi_sdk.InvalidRequest, match="redirect_uri"):
        await result(stage.client.consents.start(scenario="bike-deposit", redirect_uri=BACK + "/evil"))


async def test_a_stranger_is_an_authentication_error(stage: Stage, tmp_path: Path) -> None:
    assert main(["keygen", "--out", str(tmp_path)]) == 0
    config, http = stage.client._engine.config, stage.client._driver.http
    options = {"base_url": config.issuer, "private_key": tmp_path / "private-key.pem", "http_client": http}
    for client_id in (stage.registered.id, "cli_01kb0x4m9v5w8q2r7s3t6y1zab"):
        stranger = type(stage.client)(client_id=client_id, **options)
        stranger._engine.sources = stage.client._engine.sources
        with pytest.raises(xinyi_sdk.AuthenticationError) as caught:
            await result(stranger.consents.get("cns_01kb0x4m9v5w8q2r7s3t6y1zab"))
        assert caught.value.code == "invalid_client"


async def listed(found: Any) -> list[Any]:
    return [item async for item in found] if isinstance(found, AsyncIterator) else list(found)


async def test_what_was_made_is_found_again_and_can_be_answered(stage: Stage) -> None:
    consent = await stage.consent("bike-deposit", "person-a")
    answer = await stage.check(consent, reference="FOUND-1")
    with pytest.raises(xinyi_sdk.ConsentRequired):
        await stage.check(consent, reference="FOUND-1", consent_id="cns_01kb0x4m9v5w8q2r7s3t6y1zab")
    (found,) = await listed(stage.client.checks.list(consent_id=consent.id, since=datetime(2026, 1, 1, tzinfo=UTC)))
    assert (found.id, found.reference, found.outcome, found.refusal) == (answer.id, "FOUND-1", "met", None)
    with pytest.raises(xinyi_sdk.NotFound):
        await result(stage.client.checks.feedback(answer.id))
    given = await result(stage.client.checks.give_feedback(answer.id, result="granted", benefit_band="up_to_500"))
    assert await result(stage.client.checks.feedback(answer.id)) == given
    assert consent.id in [each.id for each in await listed(stage.client.consents.list(state="authorised"))]
    with pytest.raises(ValueError, match="time zone"):
        await listed(stage.client.checks.list(since=datetime(2026, 1, 1)))  # noqa: DTZ001


async def test_the_copy_of_a_written_consent_verifies_offline(stage: Stage) -> None:
    consent = await stage.consent("microloan-prescreen", "company-a")
    copy = await result(stage.client.consents.copy(consent.id))
    jwks, issuer = await result(stage.client.ledger.jwks()), stage.client._engine.config.issuer
    verified = xinyi_sdk.verify_consent_copy(copy.jws, jwks, issuer=issuer)
    assert (verified.consent_id, verified.text, verified.subject) == (consent.id, copy.text, consent.subject)
    head, payload, signature = copy.jws.split(".")
    for spoiled, reason in (
        (f"{head}.{payload}", "form"),
        (f"{head}.{payload[:-8]}AAAAAAAA.{signature}", "signature"),
        ((await stage.check(consent)).receipt.text.split("~")[2], "form"),
    ):
        with pytest.raises(xinyi_sdk.CopyInvalid) as caught:
            xinyi_sdk.verify_consent_copy(spoiled, jwks)
        assert caught.value.reason == reason
    with pytest.raises(xinyi_sdk.CopyInvalid, match="issuer"):
        xinyi_sdk.verify_consent_copy(copy.jws, jwks, issuer="https://another.example")
    with pytest.raises(xinyi_sdk.NotFound):
        await result(stage.client.consents.copy((await stage.consent("bike-deposit", "person-a")).id))


async def test_a_customer_at_the_counter_is_asked_by_link_and_can_be_reminded(stage: Stage) -> None:
    subject = PERSONAS["person-c"].identifier.value
    asked = await result(stage.client.consents.ask(scenario="bike-deposit", subject=subject))
    assert asked.link.endswith(asked.id)
    assert "<svg" in asked.qr_svg
    assert (await result(stage.client.consents.get(asked.id))).channel == "link"
    with pytest.raises(xinyi_sdk.WrongState):
        await result(stage.client.consents.ask(scenario="bike-deposit", subject=subject))
    reminded = await result(stage.client.consents.remind(asked.id))
    assert reminded.again_at > reminded.reminded_at
    with pytest.raises(xinyi_sdk.CoolingDown) as caught:
        await result(stage.client.consents.remind(asked.id))
    assert caught.value.retry_after
    assert (await result(stage.client.consents.withdraw(asked.id))).state != "awaiting_authorisation"


async def test_more_time_is_asked_for_when_there_is_more(stage: Stage) -> None:
    consent = await stage.consent("bike-deposit", "person-a")
    with pytest.raises(xinyi_sdk.InvalidRequest) as caught:
        await result(stage.client.consents.extend(consent.id, days=90))
    assert caught.value.source == "/days", "it lasts as long anyway"
    assert await result(stage.client.consents.extensions(consent.id)) == ()


async def test_a_partner_sees_its_rights_and_changes_its_keys(stage: Stage, tmp_path: Path) -> None:
    partner = await result(stage.client.partner.get())
    assert partner.client.id == stage.registered.id
    assert {each.id for each in partner.client.scenarios} == set(SCENARIOS)
    await stage.check(await stage.consent("bike-deposit", "person-a"))
    left = {each.limit: each.remaining for each in await result(stage.client.partner.quota())}
    assert left["checks"] >= 0
    usage = await result(stage.client.partner.usage(by="month"))
    assert {row.scenario for row in usage.rows} >= {"bike-deposit"}
    (first,) = await result(stage.client.partner.keys())
    assert main(["keygen", "--out", str(tmp_path / "next")]) == 0
    added = await result(stage.client.partner.add_key(json.loads((tmp_path / "next" / "jwks.json").read_text())))
    assert await result(stage.client.partner.keys()) == (first, added)
    with pytest.raises(ValueError, match="private key"):
        await result(stage.client.partner.add_key({"kty": "EC", "d": "…"}))
    await result(stage.client.partner.remove_key(added.id))
    with pytest.raises(xinyi_sdk.WrongState):
        await result(stage.client.partner.remove_key(first.id))


async def test_events_are_read_from_a_cursor_on(stage: Stage) -> None:
    await result(stage.tell_events())
    before = await result(stage.client.events.read())
    consent = await stage.consent("bike-deposit", "person-a")
    await result(stage.client.consents.withdraw(consent.id))
    await result(stage.tell_events())
    types = [xinyi_sdk.EventType.CONSENT_AUTHORISED, xinyi_sdk.EventType.CONSENT_WITHDRAWN]
    events = await listed(stage.client.events.list(cursor=before.cursor, types=types))
    told = [(each.type, each.data["consent_id"]) for each in events if each.data["consent_id"] == consent.id]
    assert told == [("consent.authorised", consent.id), ("consent.withdrawn", consent.id)]


async def test_the_log_is_watched(stage: Stage) -> None:
    answer = await stage.check(await stage.consent("bike-deposit", "person-a"))
    kept = await result(stage.client.ledger.checkpoint())
    answer = await stage.check(await stage.consent("bike-deposit", "person-a"))
    newest = await result(stage.client.ledger.grown(kept))
    assert newest.tree_size > kept.tree_size
    entry = unb64url(answer.receipt.text.split("~")[0])
    assert (await result(stage.client.ledger.inclusion(entry))).leaf_index == answer.receipt.verify().leaf_index


async def test_the_published_lists_can_be_read(stage: Stage) -> None:
    types = {each.code: each for each in await result(stage.client.metadata.record_types())}
    assert any(each.unit for each in types["SOCINS_PAID"].fields)
    assert any(each.allowed for each in await result(stage.client.metadata.behaviours()))
    assert {each.code for each in await result(stage.client.metadata.outcomes())} == set(xinyi_sdk.Outcome)
    codes = {each.code: each for each in await result(stage.client.metadata.error_codes())}
    known = errors.error_class("rate_limited", codes["rate_limited"].status)
    assert known is xinyi_sdk.RateLimited
    case = xinyi_sdk.DryRunCase(id="mine", facts=[{"record": "SOCINS_PAID", "fields": {"months": 1, "as_of": "-1d"}}])
    dry = await result(stage.client.scenarios.dry_run("bike-deposit", cases=[case]))
    assert [each.answer.outcome for each in dry.results] == ["not_evidenced"]


async def test_a_platform_that_wants_its_nonces_gets_them(keys: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, issuer="http://127.0.0.1:8000", dpop_nonces=True)
    app: Any = create_app(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.lifespan())
        services = Services.build(settings)
        async with services.opened():
            registered = await furnish(services, SystemClock(), json.loads((keys / "jwks.json").read_text()))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=httpx.ASGITransport(app=app)))
        options: dict[str, Any] = {"base_url": settings.issuer, "client_id": registered.id, "http_client": http}
        events: list[xinyi_sdk.CallEvent] = []
        async with AsyncXinyi(
            **options, private_key=keys / "private-key.pem", max_retries=0, on_event=events.append
        ) as client:
            stage = Stage(client, registered, http._transport)
            assert (await stage.check(await stage.consent("bike-deposit", "person-a"))).met
    refused = [each for each in events if isinstance(each, xinyi_sdk.ResponseReceived) and each.status in (400, 401)]
    assert 1 <= len(refused) <= 2, "a nonce is learned once for each audience"
