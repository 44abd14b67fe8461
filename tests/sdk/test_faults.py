"""Lost connections, outages, limits, rotated tokens, nonces and wrong clocks: one effect, the right answer or error."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

import xinyi_sdk
from tests.sdk.conftest import MakeClient, result
from tests.sdk.platform import CLIENT, CONSENT, ISSUER, NOW, Platform, answering, dropping, http_date
from xinyi_sdk._flow import Flow
from xinyi_sdk._keys import SigningKey
from xinyi_sdk._retry import http_date as parse_http_date
from xinyi_sdk._retry import retry_after, wait_before
from xinyi_sdk._tokens import Token, TokenCache

ASK = {"scenario": "microloan-prescreen", "consent_id": CONSENT, "reference": "LOAN-2026-000123"}


def timing_out(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("too slow", request=request)


@pytest.mark.parametrize(
    "fault", [dropping, timing_out, *(answering(status) for status in (408, 429, 500, 502, 503, 504))]
)
async def test_a_check_is_tried_again_under_one_idempotency_key(client: Any, platform: Platform, fault: Any) -> None:
    platform.fail("/v1/checks", fault, fault)
    assert (await result(client.checks.create(**ASK))).met
    tries = [request for request in platform.requests if request.url.path == "/v1/checks"]
    assert len(tries) == 3
    assert len({request.headers["idempotency-key"] for request in tries}) == 1
    assert len({request.headers["x-fapi-interaction-id"] for request in tries}) == 1
    assert len({request.headers["dpop"] for request in tries}) == 3
    assert platform.time.slept == [0.25, 0.5]


async def test_a_response_lost_after_the_effect_is_still_one_effect(client: Any, platform: Platform) -> None:
    def committing(request: httpx.Request) -> httpx.Response:
        platform.check(request)
        raise httpx.RemoteProtocolError("closed", request=request)

    platform.fail("/v1/checks", committing)
    await result(client.checks.create(**ASK))
    assert len(platform.effects) == 1


async def test_two_checks_have_two_idempotency_keys_and_one_may_bring_its_own(client: Any, platform: Platform) -> None:
    await result(client.checks.create(**ASK))
    await result(client.checks.create(**ASK))
    await result(client.checks.create(**ASK, idempotency_key="mine"))
    assert len(platform.effects) == 3
    assert "mine" in platform.effects


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_a_refusal_isnt_tried_again(client: Any, platform: Platform, status: int) -> None:
    platform.fail("/v1/checks", answering(status, "no"))
    with pytest.raises(xinyi_sdk.APIError):
        await result(client.checks.create(**ASK))
    assert platform.paths().count("/v1/checks") == 1


async def test_retries_can_be_turned_off(make_client: MakeClient, platform: Platform) -> None:
    client = make_client(max_retries=0)
    platform.fail("/v1/checks", answering(503))
    with pytest.raises(xinyi_sdk.Unavailable) as caught:
        await result(client.checks.create(**ASK))
    assert caught.value.retry_after is None
    assert platform.time.slept == []


async def test_a_lasting_outage_is_an_error_after_the_last_try(client: Any, platform: Platform) -> None:
    platform.fail("/v1/checks", dropping, dropping, timing_out)
    with pytest.raises(xinyi_sdk.TimedOut, match=r"POST https://xinyi\.example/v1/checks"):
        await result(client.checks.create(**ASK))


@pytest.mark.parametrize("asked", ["7", http_date(timedelta(seconds=7))])
async def test_the_platforms_wish_to_wait_is_kept(make_client: MakeClient, platform: Platform, asked: str) -> None:
    client = make_client(chance=0.0)
    platform.fail("/v1/checks", answering(429, "rate_limited", retry_after=asked))
    await result(client.checks.create(**ASK))
    assert platform.time.slept == [7.0]


@pytest.mark.parametrize("asked", ["3600", http_date(timedelta(hours=1))])
async def test_a_long_wait_is_the_callers_decision(client: Any, platform: Platform, asked: str) -> None:
    platform.fail("/v1/checks", answering(429, "rate_limited", retry_after=asked))
    with pytest.raises(xinyi_sdk.RateLimited) as caught:
        await result(client.checks.create(**ASK))
    assert caught.value.retry_after == 3600
    assert platform.time.slept == []


def test_waits_grow_are_random_and_end() -> None:
    assert [wait_before(number, None, lambda: 1.0) for number in range(6)] == [0.5, 1, 2, 4, 8, 8]
    assert wait_before(5, None, lambda: 0.0) == 0
    assert wait_before(0, 60, lambda: 0.5) == 60.25
    assert wait_before(0, 61, lambda: 0.5) is None


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "٣", "99999999999999999999999 GMT"])
def test_an_unreadable_retry_after_is_none(text: str) -> None:
    assert retry_after({"retry-after": text}, NOW.timestamp()) is None
    assert retry_after({}, NOW.timestamp()) is None


def test_a_retry_after_in_the_past_is_now() -> None:
    assert retry_after({"retry-after": http_date(timedelta(hours=-1))}, NOW.timestamp()) == 0
    assert parse_http_date("Mon, 02 Nov 2026 08:00:00 GMT") == NOW.timestamp()


# Tokens


@pytest.mark.parametrize(("scopes", "sent"), [(None, None), (["checks"], "checks")])
async def test_a_client_has_all_that_it_was_given_unless_it_asks_for_less(
    make_client: MakeClient, platform: Platform, scopes: Any, sent: Any
) -> None:
    await result(make_client(scopes=scopes).checks.create(**ASK))
    (request,) = [request for request in platform.requests if request.url.path == "/oauth2/token"]
    assert dict(parse_qsl(request.content.decode())).get("scope") == sent


async def test_one_token_serves_many_calls(client: Any, platform: Platform) -> None:
    for _ in range(3):
        await result(client.checks.create(**ASK))
    assert platform.paths().count("/oauth2/token") == 1
    assert platform.paths().count("/.well-known/oauth-authorization-server") == 1


async def test_a_token_is_renewed_before_it_ends(client: Any, platform: Platform) -> None:
    await result(client.checks.create(**ASK))
    platform.time.seconds += 299 * 0.9
    await result(client.checks.create(**ASK))
    assert platform.paths().count("/oauth2/token") == 2


async def test_an_early_renewal_that_fails_costs_nothing(make_client: MakeClient, platform: Platform) -> None:
    client = make_client(max_retries=0)
    await result(client.checks.create(**ASK))
    platform.time.seconds += 270
    platform.fail("/oauth2/token", dropping)
    await result(client.checks.create(**ASK))
    platform.fail("/oauth2/token", answering(503))
    await result(client.checks.create(**ASK))


async def test_a_token_that_was_revoked_is_replaced_once(client: Any, platform: Platform) -> None:
    await result(client.checks.create(**ASK))
    platform.tokens.clear()
    await result(client.checks.create(**ASK))
    assert platform.paths().count("/oauth2/token") == 2
    platform.fail("/v1/checks", answering(401, "invalid_token"), answering(401, "invalid_token"))
    with pytest.raises(xinyi_sdk.AuthenticationError):
        await result(client.checks.create(**ASK))
    assert platform.paths().count("/oauth2/token") == 3


@pytest.mark.parametrize("kind", ["file", "callable"])
async def test_a_registered_key_that_is_changed_is_used_from_the_next_token_on(
    make_client: MakeClient, platform: Platform, tmp_path: Path, kind: str
) -> None:
    current = [platform.client_key]
    file = tmp_path / "key.pem"
    file.write_bytes(platform.client_key.as_pem(private=True))
    client = make_client(private_key=file if kind == "file" else lambda: current[0].as_pem(private=True))
    await result(client.checks.create(**ASK))
    platform.client_key = current[0] = platform.client_key.generate_key("P-256", auto_kid=True)
    platform.tokens.clear()
    file.write_bytes(platform.client_key.as_pem(private=True))
    assert (await result(client.checks.create(**ASK))).met
    assert platform.paths().count("/oauth2/token") == 2


def test_only_the_token_that_was_turned_away_is_dropped() -> None:
    key = SigningKey.generate()
    old, new, bound = (Token.issued(name, key, 300, 0, lambda: 0.5) for name in ("old", "new", "bound"))
    tokens = TokenCache()
    tokens.own = new
    tokens.keep_for(CONSENT, bound)
    tokens.drop(old)
    assert tokens.own is new
    tokens.drop(bound)
    assert tokens.of_consent(CONSENT, 0) is None
    assert tokens.own is new


def test_the_tokens_of_consents_are_bounded() -> None:
    tokens, token = TokenCache(), Token.issued("t", SigningKey.generate(), 300, 0, lambda: 0.5)
    for number in range(1001):
        tokens.keep_for(f"cns_{number}", token)
    assert tokens.of_consent("cns_0", 0) is None
    assert tokens.of_consent("cns_1", 0) is token


async def test_a_redirect_isnt_followed_whatever_the_http_client_would_do(
    platform: Platform, private_jwk: dict[str, Any]
) -> None:
    platform.fail("/v1/checks", lambda _: httpx.Response(307, headers={"location": "https://evil.example/"}))
    with httpx.Client(transport=platform.transport(), follow_redirects=True) as http:
        client = xinyi_sdk.Xinyi(base_url=ISSUER, client_id=CLIENT, private_key=private_jwk, http_client=http)
        with pytest.raises(xinyi_sdk.APIError, match="http_307"):
            client.checks.create(**ASK)
    assert {request.url.host for request in platform.requests} == {"xinyi.example"}


async def test_a_token_that_isnt_bound_to_a_key_is_refused(client: Any, platform: Platform) -> None:
    platform.token_type = "Bearer"
    with pytest.raises(xinyi_sdk.InvalidResponse, match="bound"):
        await result(client.checks.create(**ASK))
    assert "/v1/checks" not in platform.paths()


async def test_another_platform_under_the_same_address_is_refused(client: Any, platform: Platform) -> None:
    platform.issuer = "https://evil.example"
    with pytest.raises(xinyi_sdk.InvalidResponse, match="base_url"):
        await result(client.checks.create(**ASK))
    assert "/oauth2/token" not in platform.paths()


async def test_a_key_that_isnt_registered_is_an_authentication_error(client: Any, platform: Platform) -> None:
    platform.client_key = platform.client_key.generate_key("P-256")
    with pytest.raises(xinyi_sdk.AuthenticationError, match="registered with the operator"):
        await result(client.checks.create(**ASK))


@pytest.mark.parametrize("who", ["as", "rs"])
async def test_a_nonce_is_taken_from_whoever_wants_it(client: Any, platform: Platform, who: str) -> None:
    platform.nonces[who] = "n-1"
    await result(client.checks.create(**ASK))
    platform.nonces[who] = "n-2"
    platform.tokens.clear()
    await result(client.checks.create(**ASK))
    assert platform.time.slept == []


async def test_the_nonce_of_a_code_exchange_is_the_one_thing_that_is_sent_again(
    client: Any, platform: Platform
) -> None:
    request = await result(client.consents.start(scenario="bike-deposit", redirect_uri="https://bikes.example/"))
    platform.nonces["as"] = "n-1"
    consent = await result(client.consents.finish(platform.browse(request.url), request))
    assert consent.id == CONSENT


async def test_a_platform_that_only_wants_nonces_is_given_up(client: Any, platform: Platform) -> None:
    def changing(_: httpx.Request) -> httpx.Response:
        platform.nonces["rs"] = f"{platform.nonces['rs']}+"
        return answering(401, "use_dpop_nonce", dpop_nonce=str(platform.nonces["rs"]))(_)  # type: ignore[return-value]

    platform.fail("/v1/checks", *[changing] * 10)
    with pytest.raises(xinyi_sdk.AuthenticationError):
        await result(client.checks.create(**ASK))
    assert platform.paths().count("/v1/checks") == 4  # two with each of two tokens


@pytest.mark.parametrize("minutes", [-300, -5, 5, 300])
async def test_a_clock_that_is_wrong_doesnt_matter(client: Any, platform: Platform, minutes: int) -> None:
    platform.offset = minutes * 60
    assert (await result(client.checks.create(**ASK))).met


async def test_a_clock_that_goes_wrong_later_is_noticed(client: Any, platform: Platform) -> None:
    await result(client.checks.create(**ASK))
    platform.offset = 600
    await result(client.checks.create(**ASK))


async def test_a_cached_responses_date_is_ignored(client: Any, platform: Platform) -> None:
    old = platform.route(httpx.Request("GET", f"{ISSUER}/v1/scenarios"))
    old.headers.update({"date": http_date(timedelta(hours=-2)), "age": "7200"})
    platform.fail("/v1/scenarios", lambda _: old)
    await result(client.scenarios.list())
    assert client._engine.now() == NOW.timestamp()


# Many callers


def test_a_hundred_threads_fetch_one_token(platform: Platform, private_jwk: dict[str, Any]) -> None:
    client = _slow_client(platform, private_jwk, 100)
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(client.checks.create(**ASK).met)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 100
    assert platform.paths().count("/oauth2/token") == 1
    assert platform.paths().count("/.well-known/oauth-authorization-server") == 1
    assert platform.paths().count("/v1/ledger/jwks") == 1


def _slow_client(platform: Platform, private_jwk: dict[str, Any], callers: int) -> xinyi_sdk.Xinyi:
    """A client whose first request isn't answered before all callers are there."""
    turn, arrived = threading.Lock(), threading.Semaphore(0)

    def handle(request: httpx.Request) -> httpx.Response:
        with turn:  # the stand-in itself isn't made for threads
            return platform.handle(request)

    client = xinyi_sdk.Xinyi(
        base_url=ISSUER,
        client_id=CLIENT,
        private_key=private_jwk,
        http_client=httpx.Client(transport=httpx.MockTransport(handle)),
    )
    fetch = client._engine._token

    def counted(consent_id: str | None = None) -> Flow[Token]:
        arrived.release()
        return fetch(consent_id)

    def waiting(_: httpx.Request) -> None:
        for _i in range(callers):
            assert arrived.acquire(timeout=30)

    platform.fail("/.well-known/oauth-authorization-server", waiting)
    client._engine._token = counted  # type: ignore[method-assign]
    client._engine.sources = type(client._engine.sources)(wall=platform.time, monotonic=platform.time)
    return client


async def test_a_hundred_tasks_fetch_one_token(platform: Platform, private_jwk: dict[str, Any]) -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return platform.handle(request)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http,
        xinyi_sdk.AsyncXinyi(base_url=ISSUER, client_id=CLIENT, private_key=private_jwk, http_client=http) as client,
    ):
        client._engine.sources = type(client._engine.sources)(wall=platform.time, monotonic=platform.time)
        answers = await asyncio.gather(*(client.checks.create(**ASK) for _ in range(100)))
        assert all(answer.met for answer in answers)
        platform.tokens.clear()  # all are turned away with the same token: one renewal
        await asyncio.gather(*(client.checks.create(**ASK) for _ in range(100)))
    assert platform.paths().count("/oauth2/token") == 2
    assert platform.paths().count("/v1/ledger/jwks") == 1


async def test_an_answer_that_comes_while_keys_are_fetched_waits_for_them(
    platform: Platform, private_jwk: dict[str, Any]
) -> None:
    fetching, answered, open_ = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/ledger/jwks":
            fetching.set()
            await open_.wait()
        response = platform.handle(request)
        if len(platform.effects) == 2:
            answered.set()
        return response

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        client = xinyi_sdk.AsyncXinyi(base_url=ISSUER, client_id=CLIENT, private_key=private_jwk, http_client=http)
        client._engine.sources = type(client._engine.sources)(wall=platform.time, monotonic=platform.time)
        tasks = [asyncio.create_task(client.checks.create(**ASK))]
        await fetching.wait()
        tasks.append(asyncio.create_task(client.checks.create(**ASK)))
        await answered.wait()
        open_.set()
        for answer in await asyncio.gather(*tasks):
            assert answer.receipt.verify().met
    assert platform.paths().count("/v1/ledger/jwks") == 1


async def test_a_task_that_is_cancelled_leaves_the_others_going(
    platform: Platform, private_jwk: dict[str, Any]
) -> None:
    entered, open_ = asyncio.Event(), asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth2/token":
            entered.set()
            await open_.wait()
        return platform.handle(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        client = xinyi_sdk.AsyncXinyi(base_url=ISSUER, client_id=CLIENT, private_key=private_jwk, http_client=http)
        client._engine.sources = type(client._engine.sources)(wall=platform.time, monotonic=platform.time)
        first = asyncio.create_task(client.checks.create(**ASK))
        await entered.wait()
        second = asyncio.create_task(client.checks.create(**ASK))
        first.cancel()
        open_.set()
        assert (await second).met
        with pytest.raises(asyncio.CancelledError):
            await first
