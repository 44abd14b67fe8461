"""The ways out: other options, any call, what happens on the wire, and forks."""

import asyncio
import json
import logging
import os
import threading
import time as real_time
from typing import Any

import httpx
import pytest

import xinyi_sdk
from tests.sdk.conftest import MakeClient, result
from tests.sdk.platform import CLIENT, CONSENT, ISSUER, Platform, answering, dropping
from xinyi_sdk import CallEvent, RequestFailed, RequestSent, ResponseReceived, RetryPlanned, Xinyi, cli
from xinyi_sdk.cli import request as request_command
from xinyi_sdk.testing import FakeXinyi

ASK = {"scenario": "microloan-prescreen", "consent_id": CONSENT, "reference": "LOAN-2026-000123"}


# with_options


async def test_other_options_share_all_that_was_learned(client: Any, platform: Platform) -> None:
    await result(client.checks.create(**ASK))
    other = client.with_options(max_retries=0, timeout=1.5)
    await result(other.checks.create(**ASK))
    assert platform.paths().count("/oauth2/token") == 1
    assert platform.requests[-1].extensions["timeout"]["read"] == 1.5
    platform.fail("/v1/checks", answering(503))
    with pytest.raises(xinyi_sdk.Unavailable):
        await result(other.checks.create(**ASK))
    platform.fail("/v1/checks", answering(503))
    await result(client.checks.create(**ASK))
    assert platform.requests[-1].extensions["timeout"]["read"] != 1.5
    assert type(other) is type(client)
    assert other.with_options().checks._engine.config.max_retries == 0
    with pytest.raises(xinyi_sdk.ConfigurationError):
        client.with_options(max_retries=-1)


async def test_closing_a_client_with_other_options_leaves_the_first_one_open(make_client: MakeClient) -> None:
    client = make_client(http_client=None)
    await result(client.with_options(timeout=1).close())
    assert not client._driver.http.is_closed
    await result(client.close())
    assert client._driver.http.is_closed


# request


async def test_any_call_can_be_made_as_the_others_are(client: Any, platform: Platform) -> None:
    platform.fail("/v1/checks", dropping, answering(503))
    response = await result(client.request("post", "/v1/checks", json=ASK))
    assert response.status == 200
    assert response.json()["data"]["outcome"] == "met"
    assert response.request_id == platform.requests[-1].headers["x-fapi-interaction-id"]
    assert len(platform.effects) == 1
    assert "met" not in repr(response)
    with pytest.raises(xinyi_sdk.NotFound):
        await result(client.request("GET", "/v1/later", query={"a": "b c"}))
    assert platform.requests[-1].url.query == b"a=b+c"


@pytest.mark.parametrize("path", ["v1/checks", "//evil.example/", "https://evil.example/", "/v1/checks?x=1", "/a#b"])
async def test_a_path_stays_on_the_platform(client: Any, platform: Platform, path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        await result(client.request("GET", path))
    assert platform.requests == []


@pytest.fixture
def command(platform: Platform, private_jwk: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Platform:
    def make() -> Xinyi:
        http = httpx.Client(transport=platform.transport())
        client = Xinyi(base_url=ISSUER, client_id=CLIENT, private_key=private_jwk, http_client=http, max_retries=0)
        client._engine.sources = type(client._engine.sources)(wall=platform.time, monotonic=platform.time)
        return client

    monkeypatch.setattr(request_command, "Xinyi", make)
    return platform


def test_the_command_makes_a_signed_call(command: Platform, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "body.json").write_text(json.dumps(ASK))
    body = ["--json", f"@{tmp_path}/body.json", "--idempotency-key", "mine"]
    assert cli.main(["request", "POST", "/v1/checks", *body]) == 0
    first = capsys.readouterr().out
    assert json.loads(first)["data"]["outcome"] == "met"
    assert cli.main(["request", "POST", "/v1/checks", "--json", json.dumps(ASK), "--idempotency-key", "mine"]) == 0
    assert capsys.readouterr().out == first
    assert cli.main(["request", "GET", "/v1/scenarios", "--query", "limit=5", "--include"]) == 0
    assert capsys.readouterr().out.startswith("200\n")
    assert cli.main(["request", "GET", "/v1/nothing"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["code"] == "not_found"
    assert "not_found (404). Check the id" in said.err, "the title would only repeat the code"


@pytest.mark.parametrize("bad", [["--json", "{"], ["--query", "x"], ["--json", "@/no/such/file"]])
def test_a_call_that_cant_be_made_is_said(command: Platform, bad: list[str], capsys: Any) -> None:
    assert cli.main(["request", "POST", "/v1/checks", *bad]) == 2
    assert capsys.readouterr().err.startswith("xinyi-sdk: ")
    assert command.requests == []


# on_event


async def test_an_observer_is_told_what_happens_on_the_wire(make_client: MakeClient, platform: Platform) -> None:
    events: list[CallEvent] = []
    client = make_client(on_event=events.append)
    await result(client.checks.create(**ASK))
    events.clear()
    platform.fail("/v1/checks", dropping, answering(503))
    answer = await result(client.checks.create(**ASK))
    kinds = [type(event) for event in events]
    one, two, three = [RequestSent, RequestFailed], [RequestSent, ResponseReceived], [RequestSent, ResponseReceived]
    assert kinds == [*one, RetryPlanned, *two, RetryPlanned, *three]
    sent = {event.request_id for event in events if not isinstance(event, RetryPlanned)}
    assert len(sent) == 1
    last = events[-1]
    assert isinstance(last, ResponseReceived)
    assert (last.method, last.url, last.status) == ("POST", f"{ISSUER}/v1/checks", 200)
    assert json.loads(last.body)["data"]["id"] == answer.id, "the raw response of a typed call"
    assert [event.number for event in events if isinstance(event, RetryPlanned)] == [1, 2]


async def test_no_observer_and_no_log_sees_a_secret(
    make_client: MakeClient, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    events: list[CallEvent] = []
    client = make_client(on_event=events.append)
    request = await result(client.consents.start(scenario="bike-deposit", redirect_uri="https://bikes.example/"))
    back = platform.browse(request.url)
    platform.fail("/v1/checks", answering(503))
    await result(client.consents.finish(back, request))
    await result(client.checks.create(**ASK))
    told = "".join(
        f"{event}{event!r}{getattr(event, 'body', b'')!r}{getattr(event, 'headers', '')}" for event in events
    )
    secrets = [*platform.tokens, request.code_verifier, httpx.URL(back).params["code"], request.url.split("=")[-1]]
    secrets += [sent.headers["dpop"] for sent in platform.requests if "dpop" in sent.headers]
    assert not [secret for secret in secrets if secret in told + caplog.text]
    assert "POST https://xinyi.example/v1/checks: 503" in caplog.text
    assert "retry 1 in" in caplog.text


async def test_an_observer_that_raises_changes_nothing(
    make_client: MakeClient, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: CallEvent) -> None:
        raise RuntimeError("the metrics server is away")

    assert (await result(make_client(on_event=broken).checks.create(**ASK))).met
    assert "on_event raised" in caplog.text


# Forks


def in_child(work: Any) -> int:
    """Runs ``work`` in a forked child; gives its exit status, 0 when it returned true."""
    child = os.fork()
    if child == 0:  # nothing of the test run may go on here
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    deadline = real_time.monotonic() + 20
    while real_time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        real_time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_client_survives_a_fork_even_while_another_thread_fetches_a_token(fake_xinyi: FakeXinyi) -> None:
    consent = fake_xinyi.consent("bike-deposit")
    ask = {"scenario": "bike-deposit", "consent_id": consent.id, "reference": "R"}
    with Xinyi() as client:
        before = client._driver.http
        lock = client._driver._connections.locks["token"]
        holding, forked = threading.Event(), threading.Event()

        def hold() -> None:
            with lock:
                holding.set()
                forked.wait(30)

        other = threading.Thread(target=hold)
        other.start()
        holding.wait(30)

        def work() -> bool:
            new = client._driver.http is not before and client.with_options(timeout=1)._driver.http is not before
            return new and client.checks.create(**ask).met

        assert in_child(work) == 0
        forked.set()
        other.join()
        assert client._driver.http is before
        assert client.checks.create(**ask).met


def test_an_http_client_that_was_brought_along_is_refused_in_the_child(
    platform: Platform, private_jwk: dict[str, Any]
) -> None:
    with httpx.Client(transport=platform.transport()) as http:
        client = Xinyi(base_url=ISSUER, client_id=CLIENT, private_key=private_jwk, http_client=http)

        def work() -> bool:
            with pytest.raises(xinyi_sdk.ConfigurationError, match="fork"):
                client.scenarios.list()
            return True

        assert in_child(work) == 0
        assert client.scenarios.list()


# Event loops


def test_an_awaiting_client_serves_one_event_loop_after_the_other(fake_xinyi: FakeXinyi) -> None:
    consent = fake_xinyi.consent("bike-deposit")
    client = fake_xinyi.async_client()
    before = client._driver.http

    async def check() -> bool:
        answer = await client.checks.create(scenario="bike-deposit", consent_id=consent.id, reference="R")
        return answer.met

    assert asyncio.run(check())
    assert client._driver.http is before
    assert asyncio.run(check()), "as in a worker that runs each job in a loop of its own"
    assert client._driver.http is not before


async def test_an_awaiting_client_doesnt_serve_two_event_loops_at_once(fake_xinyi: FakeXinyi) -> None:
    client = fake_xinyi.async_client()
    await client.scenarios.list()
    with pytest.raises(xinyi_sdk.ConfigurationError, match="one event loop"):
        await asyncio.to_thread(asyncio.run, client.scenarios.list())
