"""What an operator sees of the running program: numbers and shapes, at a listener of their own."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.oauth import Platform, running_platform
from tests.support.pairs import Embedded, Pair
from tests.support.servers import free_port
from tests.support.world import PERSON, ask, new_world
from xinyi.settings import Settings
from xinyi.telemetry import traces
from xinyi.telemetry.service import Telemetry
from xinyi.telemetry.traces import Traces, TracesMissing
from xinyi.web.outbound import OutboundResponse

SCENARIO = "bike-deposit"
GONE = "/v1/checks/chk_00000000000000000000000000"


@pytest.fixture
async def platform(tmp_path: Path, pair: Pair) -> AsyncGenerator[Platform]:
    async with running_platform(tmp_path, pair) as platform:
        yield platform


def counted(telemetry: Telemetry) -> dict[str, float]:
    """Every sample of the registry, by its name and labels, without the process' own and without durations."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for metric in telemetry.metrics.registry.collect()
        if metric.name.startswith("xinyi_")
        for sample in metric.samples
        if not sample.name.endswith("_created") and "seconds" not in sample.name
    }


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


def requests(method: str, route: str, status: int) -> str:
    """The name of a counter as :func:`counted` gives it."""
    return f"xinyi_http_requests_total[('method', '{method}'), ('route', '{route}'), ('status', '{status}')]"


async def test_requests_are_counted_by_the_template_of_their_route(platform: Platform):
    bike = await platform.partner(SCENARIO, kind="bike-share")
    token = await bike.token()
    telemetry = platform.service("telemetry")
    before = counted(telemetry)
    for path in (GONE, GONE, f"{GONE}/receipt"):
        await bike.call("GET", path, token)
    await platform.http.head("/health/live")
    change = grown(before, counted(telemetry))
    change.pop("xinyi_cache_values[]", None)  # the proofs that were used
    assert change == {
        requests("GET", "/v1/checks/{check_id}", 404): 2,
        requests("GET", "/v1/checks/{check_id}/receipt", 404): 1,
        requests("GET", "/health/live", 200): 1,
        "xinyi_refusals_total[('code', 'not_found')]": 3,
    }


async def test_refusals_are_counted_by_their_code_wherever_they_are_told(platform: Platform):
    bike = await platform.partner(SCENARIO, kind="bike-share")
    telemetry = platform.service("telemetry")
    before = counted(telemetry)
    await bike.call("GET", GONE, "no-token")
    await bike.credentials(assertion=bike.assertion(key=bike.key.generate_key("P-256")))
    await platform.http.get("/oauth2/authorize")  # a page
    await platform.http.get("/v1/scenarios", headers={"x": "x" * 40_000})  # before any route is known
    refusals = {name: by for name, by in grown(before, counted(telemetry)).items() if "refusals" in name}
    assert refusals == {
        f"xinyi_refusals_total[('code', '{code}')]": 1
        for code in ("invalid_token", "invalid_client", "malformed", "headers_too_large")
    }


async def test_nobody_fills_the_memory_with_made_up_paths_and_methods(platform: Platform):
    telemetry = platform.service("telemetry")
    for number in range(30):
        await platform.http.request(f"BREW{number}", f"/pot/{number}")
        await platform.http.get(f"/v1/scenarios/made-up-{number}")
    assert {name for name in counted(telemetry) if "http_requests" in name} == {
        requests("other", "unmatched", 404),
        requests("GET", "/v1/scenarios/{scenario_id}", 404),
    }


async def test_the_engine_the_database_and_the_ledger_are_seen(tmp_path: Path, pair: Pair):
    async with new_world(tmp_path, pair) as world:
        client = await world.client(SCENARIO, kind="bike-share")
        consents = [await world.consent(client, SCENARIO, await world.subject(PERSON)) for _ in range(3)]
        telemetry, engine = world.services.telemetry, world.services.engine
        before = counted(telemetry)
        assert before["xinyi_engine_waiting[]"] == 0
        await asyncio.gather(*(engine.check(ask(client, consent)) for consent in consents))
        change = grown(before, counted(telemetry))
        assert change["xinyi_engine_batch_size_sum[]"] == 3
        assert change["xinyi_ledger_size[]"] == 3
        commits = telemetry.metrics.registry.get_sample_value("xinyi_database_commit_seconds_count")
        assert commits is not None
        assert commits > 3
        async with world.services.database.read():
            assert counted(telemetry)["xinyi_database_connections_busy[]"] == 1
        assert counted(telemetry)["xinyi_database_connections_busy[]"] == 0
        assert ("xinyi_cache_values[]" in before) == (pair.name == "embedded")


async def test_the_ledgers_size_has_no_sample_before_it_is_known(tmp_path: Path, embedded: Embedded):
    async with new_world(tmp_path, embedded) as world:
        assert "xinyi_ledger_size[]" not in counted(world.services.telemetry)


async def test_no_counter_tells_an_outcome(tmp_path: Path, pair: Pair):
    """Who reads the counters before and after one check would learn it."""
    async with new_world(tmp_path, pair) as world:
        client = await world.client(SCENARIO, kind="bike-share")
        subject, telemetry = await world.subject(PERSON), world.services.telemetry
        changes = []
        for expected in ("not_evidenced", "met"):
            consent = await world.consent(client, SCENARIO, subject)
            before = counted(telemetry)
            answered: Any = await world.services.engine.check(ask(client, consent))
            assert f'"outcome":"{expected}"'.encode() in answered.body
            changes.append(grown(before, counted(telemetry)))
            await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
        ledger = [change.pop("xinyi_ledger_size[]") for change in changes]
        assert all(ledger)
        assert changes[0] == changes[1]


async def test_the_partners_address_has_no_metrics(platform: Platform):
    assert (await platform.http.get("/metrics")).status_code == 404


async def test_metrics_are_read_at_a_listener_of_their_own(tmp_path: Path, embedded: Embedded):
    port = free_port()
    async with running_platform(tmp_path, embedded, metrics_port=port) as platform:
        await platform.http.get("/health/live")
        text = await asyncio.to_thread(lambda: urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
    assert 'xinyi_http_requests_total{method="GET",route="/health/live",status="200"} 1.0' in text
    assert 'xinyi_build_info{version="' in text
    assert "process_resident_memory_bytes" in text


def test_each_worker_takes_the_next_free_port():
    first = free_port()
    settings = Settings(metrics_port=first, workers=2, cache_url="redis://127.0.0.1", database_url="postgresql://x/y")
    one, two = Telemetry(), Telemetry()
    with one.served(settings), two.served(settings):
        for port, telemetry in ((first, one), (first + 1, two)):
            telemetry.metrics.gauge("xinyi_worker", "Which one.", lambda port=port: port)  # type: ignore[misc]
            assert f"xinyi_worker {float(port)}" in urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        with pytest.raises(OSError, match="in use"), Telemetry().served(settings):
            pass
    with Telemetry().served(settings):
        assert urlopen(f"http://127.0.0.1:{first}/metrics").status == 200


Spans = InMemorySpanExporter


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
async def traced(tmp_path: Path, pair: Pair, spans: Spans) -> AsyncGenerator[Platform]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with running_platform(tmp_path, pair, telemetry=Telemetry(Traces(provider))) as platform:
        yield platform


def named(spans: Spans, name: str) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.name == name]
    return found


async def test_a_check_has_a_span_that_its_batch_links_to_and_a_commit_within_the_batch(traced: Platform, spans: Spans):
    bike = await traced.partner(SCENARIO, kind="bike-share")
    pushed = (await bike.par(SCENARIO)).json()["request_uri"]
    code = await traced.subject().agree(bike, pushed, "person-a")
    granted = (await bike.redeem(code)).json()
    body = {
        "scenario": SCENARIO,
        "consent_id": granted["authorization_details"][0]["consent_id"],
        "reference": "CASE-1",
    }
    spans.clear()
    given = await bike.call("POST", "/v1/checks", granted["access_token"], json=body)
    assert given.status_code == 200, given.text
    request, batch, commit = (named(spans, name) for name in ("POST /v1/checks", "checks.batch", "database.commit"))
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/checks",
        "http.response.status_code": 200,
        "xinyi.interaction_id": given.headers["x-fapi-interaction-id"],
    }
    assert dict(batch.attributes or {}) == {"xinyi.batch.size": 1}
    assert request.context is not None
    assert [link.context.span_id for link in batch.links] == [request.context.span_id]
    assert batch.context is not None
    assert commit.parent is not None
    assert commit.parent.span_id == batch.context.span_id
    assert not commit.attributes


async def test_callers_cant_say_into_which_trace_they_go(traced: Platform, spans: Spans):
    wanted = "0af7651916cd43dd8448eb211c80319c"
    await traced.http.get("/health/live", headers={"traceparent": f"00-{wanted}-b7ad6b7169203331-01"})
    span = named(spans, "GET /health/live")
    assert span.parent is None
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" != wanted


async def test_what_fails_is_told_by_its_type_alone(traced: Platform, spans: Spans):
    def fail(*_: object) -> None:
        raise LookupError("a value that nobody may read")

    spans.clear()
    with pytest.raises(LookupError), traced.service("telemetry").commit():
        fail()
    span = named(spans, "database.commit")
    assert dict(span.attributes or {}) == {"error.type": "LookupError"}
    assert "nobody may read" not in span.to_json()


def test_traces_are_off_unless_a_setting_asks_for_them(monkeypatch: pytest.MonkeyPatch):
    assert Telemetry.of(Settings()).traces is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    telemetry = Telemetry.of(Settings(traces=True))
    assert telemetry.traces is not None
    telemetry.close()


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(TracesMissing, match=r"pip install 'xinyi\[traces\]'"):
        traces.exported()


async def test_what_came_of_messages_to_webhooks_is_counted(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    bike = await platform.partner(SCENARIO, kind="bike-share")
    token = await bike.token()
    address = {"url": "https://partner.example/hook"}
    made = (await bike.call("POST", "/v1/event-subscriptions", token, json=address)).json()["data"]
    tell = f"/v1/event-subscriptions/{made['id']}/test"
    telemetry = platform.service("telemetry")
    before = counted(telemetry)
    outbound = platform.service("outbound")
    for answer, result in ((OutboundResponse(204, {}, b""), "arrived"), (OutboundResponse(500, {}, b""), "status")):

        async def post(*_: Any, answer: OutboundResponse = answer, **__: Any) -> OutboundResponse:
            return answer

        monkeypatch.setattr(outbound, "post", post)
        assert (await bike.call("POST", tell, token)).status_code == 200
        assert f"xinyi_event_attempts_total[('result', '{result}')]" in grown(before, counted(telemetry))
