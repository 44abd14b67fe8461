"""Nobody learns from a refusal which client there is, nor from asking for a consent which subject is known."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
import pytest
from joserfc.jwk import ECKey

from tests.support.oauth import ABSENT, PartnerProgram, Platform, details, running_platform, without_numbers
from tests.support.pairs import Pair
from tests.support.rounds import Rounds
from xinyi.sandbox import identities

SCENARIO: Final = "bike-deposit"
ROUNDS: Final = 150
SHARE: Final = 0.05
FLOOR: Final = 0.002
"""Seconds. The medians may differ by this, or by :data:`SHARE`, whichever is more."""
RATES: Final[dict[str, Any]] = dict.fromkeys(("rate_calls", "rate_pushes", "rate_tokens"), 1_000_000)


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncGenerator[Platform]:
    folder: Path = tmp_path_factory.mktemp("callers")
    async with running_platform(folder, pair, **RATES) as platform:
        yield platform


@pytest.fixture
async def bike(platform: Platform) -> PartnerProgram:
    return await platform.partner(SCENARIO, kind="bike-share")


Measured = tuple[dict[str, list[httpx.Response]], dict[str, float]]


async def interleaved(ask: Callable[[str, int], Awaitable[httpx.Response]], kinds: Iterable[str]) -> Measured:
    """The answers of each kind, and the seconds that each took in an ordinary round."""
    watch = Rounds(kinds)
    answers: dict[str, list[httpx.Response]] = {name: [] for name in kinds}
    for number in range(ROUNDS):
        for name in watch.next():
            answers[name].append(await watch.timed(name, ask(name, number)))
    return answers, watch.medians()


def apart(medians: Mapping[str, float]) -> float:
    return max(medians.values()) - min(medians.values())


def within(medians: Mapping[str, float]) -> float:
    return max(FLOOR, SHARE * min(medians.values()))


async def refusals(send: Callable[..., Awaitable[httpx.Response]], made: Mapping[str, Callable[[], str]]) -> Measured:
    forms = {name: [make() for _ in range(ROUNDS)] for name, make in made.items()}
    return await interleaved(lambda name, number: send(assertion=forms[name][number]), made)


async def test_unknown_disabled_unknown_key_and_wrong_signature_are_one_refusal(
    platform: Platform, bike: PartnerProgram, tell: Callable[[str], None], pair: Pair
):
    disabled = await platform.partner(SCENARIO, kind="bike-share")
    async with platform.service("database").transaction() as tx:
        await platform.service("partners").disable_client(tx, disabled.id)
    nobody = f"cli_{'0' * 26}"
    stranger = ECKey.generate_key("P-256")
    made: dict[str, Callable[[], str]] = {
        "unknown": lambda: bike.assertion(iss=nobody, sub=nobody),
        "disabled": disabled.assertion,
        "unknown key": lambda: bike.assertion(key=stranger, header={"kid": "k9"}),
        "wrong signature": lambda: bike.assertion(key=stranger),
    }
    for send in (bike.credentials, partial(bike.par, SCENARIO, client_id=ABSENT)):
        answers, medians = await refusals(send, made)
        every = [without_numbers(answer) for given in answers.values() for answer in given]
        assert every[0][0] == 400
        assert all(answer == every[0] for answer in every)
        told = ", ".join(f"{name} {each * 1e3:.2f}" for name, each in medians.items())
        tell(f"refused clients, {pair.name}, median ms of {ROUNDS}: {told}")
        assert apart(medians) <= within(medians), told


def persons(first: int) -> list[str]:
    return [identities.person(1, date(1985, 3, 4), number).value for number in range(first, first + ROUNDS)]


@pytest.fixture
async def people(platform: Platform) -> dict[str, list[str]]:
    """Identifiers of subjects that are known, and of some that nobody ever named."""
    found = {"known": persons(1), "unknown": persons(500)}
    async with platform.service("database").transaction() as tx:
        for identifier in found["known"]:
            await platform.service("subjects").ensure(
                tx, identities.person(1, date(1985, 3, 4), int(identifier[14:17]))
            )
    return found


def shape(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """An answer without what is made anew for each: ids, the QR code of the link, the request_uri."""
    _, headers, content = without_numbers(answer)
    text = re.sub(r'"qr_svg":"(?:[^"\\]|\\.)*"', '"qr_svg":""', content.decode())
    text = re.sub(r"cns_[0-9a-z]{26}|urn:ietf:params:oauth:request_uri:[\w-]{43}", "{id}", text)
    kept = {name: value for name, value in headers.items() if name not in {"location", "content-length"}}
    return answer.status_code, kept, text


async def asked(ask: Callable[[str], Awaitable[httpx.Response]], people: Mapping[str, list[str]]) -> Measured:
    return await interleaved(lambda kind, number: ask(people[kind][number]), people)


async def test_asking_for_a_consent_doesnt_tell_whether_the_subject_is_known(
    platform: Platform, bike: PartnerProgram, people: dict[str, list[str]], tell: Callable[[str], None], pair: Pair
):
    token = await bike.token()

    def by_redirect(identifier: str) -> Awaitable[httpx.Response]:
        return bike.par(SCENARIO, authorization_details=details(SCENARIO, subject={"identifier": identifier}))

    def by_link(identifier: str) -> Awaitable[httpx.Response]:
        body = {"scenario": SCENARIO, "subject": {"identifier": identifier}}
        return bike.call("POST", "/v1/consents", token, json=body)

    for way, ask in (("by redirect", by_redirect), ("by link", by_link)):
        answers, medians = await asked(ask, people)
        shapes = [shape(answer) for given in answers.values() for answer in given]
        assert shapes[0][0] == 201, shapes[0]
        assert {repr(each) for each in shapes} == {repr(shapes[0])}
        sizes = {kind: median(len(answer.content) for answer in given) for kind, given in answers.items()}
        assert abs(sizes["known"] - sizes["unknown"]) <= SHARE * sizes["known"], "a QR code's size is chance"
        told = ", ".join(f"{kind} {each * 1e3:.2f}" for kind, each in medians.items())
        tell(f"asked {way}, {pair.name}, median ms of {ROUNDS}: {told}")
        assert apart(medians) <= within(medians), told


async def test_an_honest_caller_is_told_what_its_own_request_shows(bike: PartnerProgram):
    """Quiet is only what depends on others."""
    told: dict[str, dict[str, Any]] = {
        "aud must be http://127.0.0.1:8000 as a string; it is 'https://else.example'": {"aud": "https://else.example"},
        "exp is more than 300 s ahead of this server's clock": {"exp": int(bike.now) + 3600},
        "jti": {"jti": 7},
    }
    for words, claims in told.items():
        answer: Any = (await bike.credentials(assertion=bike.assertion(**claims))).json()
        assert words in answer["error_description"]
