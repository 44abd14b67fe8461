"""Client authentication by private_key_jwt: what is refused, and what the refusal tells."""

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from anyio import create_task_group
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.support.oauth import (
    ABSENT,
    ISSUER,
    PartnerProgram,
    Platform,
    running_platform,
    signed,
    signed_bytes,
    unsigned,
    without_numbers,
)
from tests.support.pairs import Pair
from xinyi.kernel.canonical import b64url
from xinyi.oauth.jose import HeldKeys, UnverifiedJwt

pytestmark = pytest.mark.anyio

SCENARIO = "personal-loan"


@pytest.fixture
async def bank(platform: Platform) -> PartnerProgram:
    return await platform.partner(SCENARIO)


def description(response: httpx.Response) -> str:
    """What an ``invalid_client`` says."""
    assert response.status_code == 400
    assert response.json().keys() == {"error", "error_description"}
    assert response.json()["error"] == "invalid_client"
    return str(response.json()["error_description"])


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"aud": [ISSUER]}, "as a string"),
        ({"aud": f"{ISSUER}/oauth2/par"}, "aud must be"),
        ({"aud": f"{ISSUER}/oauth2/token"}, "aud must be"),
        ({"aud": f"{ISSUER}/"}, "aud must be"),
        ({"aud": "https://other.example"}, "https://other.example"),
        ({"aud": ABSENT}, "aud must be"),
        ({"sub": ABSENT}, "sub must be"),
        ({"sub": "cli_other"}, "iss and sub"),
        ({"iss": ABSENT}, "iss must be"),
        ({"iss": 7}, "iss must be"),
        ({"jti": ABSENT}, "jti must be"),
        ({"jti": ""}, "jti must be"),
        ({"jti": 7}, "jti must be"),
        ({"jti": "x" * 257}, "jti must be"),
        ({"exp": ABSENT}, "exp is missing"),
        ({"exp": "soon"}, "exp must be"),
        ({"exp": True}, "exp must be"),
        ({"exp": 1e300}, "exp must be"),
        ({"iat": "now"}, "iat must be"),
    ],
)
async def test_assertions_with_wrong_claims_are_refused(bank: PartnerProgram, claims: dict[str, Any], told: str):
    for send in (bank.credentials, lambda **more: bank.par(SCENARIO, **more)):
        assert told in description(await send(assertion=bank.assertion(**claims)))


@pytest.mark.parametrize(
    ("exp", "iat", "nbf", "told"),
    [
        (-300, -400, ABSENT, "exp is 300 s behind"),
        (0, 0, ABSENT, "exp is 0 s behind"),
        (301, 0, ABSENT, "more than 300 s ahead"),
        (300, 0, ABSENT, None),
        (60, 10, ABSENT, None),
        (60, 11, ABSENT, "iat is 11 s ahead"),
        (60, 0, 8, None),
        (120, 0, 61, "nbf is 61 s ahead"),
        (60, ABSENT, 0, None),
        (300, ABSENT, ABSENT, None),
    ],
)
async def test_assertions_are_in_time(bank: PartnerProgram, exp: Any, iat: Any, nbf: Any, told: str):
    at = int(bank.now)
    times = {"exp": exp, "iat": iat, "nbf": nbf}
    claims: dict[str, Any] = {name: value if value is ABSENT else at + value for name, value in times.items()}
    response = await bank.credentials(assertion=bank.assertion(**claims))
    if told is None:
        assert response.status_code == 200
    else:
        assert told in description(response)


@pytest.mark.parametrize("claims", [{"exp": 299, "iat": ABSENT}, {"exp": 60, "iat": -1}, {"nbf": -1, "iat": ABSENT}])
async def test_assertions_older_than_what_is_remembered_are_refused(tmp_path: Path, claims: dict[str, Any], pair: Pair):
    async with running_platform(tmp_path, pair) as platform:
        bank = await platform.partner(SCENARIO)
        at = int(bank.now)
        times: dict[str, Any] = {name: value if value is ABSENT else at + value for name, value in claims.items()}
        response = await bank.credentials(assertion=bank.assertion(**times))
        assert "before this server started" in description(response)


async def test_rs256_is_refused(platform: Platform):
    key = RSAKey.generate_key(2048)
    bank = await platform.partner(SCENARIO)
    header = {"alg": "RS256"}
    assert "alg must be" in description(await bank.credentials(assertion=bank.assertion(key=key, header=header)))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"b64": False, "crit": ["b64"]},
        {"typ": "at+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": 7},
    ],
)
async def test_an_assertion_is_nothing_else(bank: PartnerProgram, header: dict[str, Any]):
    assert "client_assertion:" in description(await bank.credentials(assertion=bank.assertion(header=header)))


def hmac_by_the_public_key(bank: PartnerProgram) -> str:
    """The classic confusion: the public key, which everybody knows, as the secret of an HMAC."""
    parts = ({"alg": "HS256", "kid": "k1"}, bank.claims())
    content = ".".join(b64url(msgspec.json.encode(part)) for part in parts)
    return f"{content}.{b64url(hmac.digest(bank.key.as_pem(private=False), content.encode(), 'sha256'))}"


async def test_algorithms_outside_the_profile_are_refused(bank: PartnerProgram):
    for assertion in (
        unsigned(bank.claims()),
        unsigned(bank.claims()) + "x",
        hmac_by_the_public_key(bank),
        bank.assertion(key=ECKey.generate_key("P-384"), header={"alg": "ES384"}),
        "not.a.jwt",
        "a.b.c" * 4000,
    ):
        description(await bank.credentials(assertion=assertion))


@pytest.mark.parametrize(("alg", "kind"), [("PS256", RSAKey), ("Ed25519", OKPKey), ("EdDSA", OKPKey)])
async def test_each_algorithm_of_the_profile_works(platform: Platform, alg: str, kind: Any):
    key = kind.generate_key(2048 if kind is RSAKey else "Ed25519")
    bank = await platform.partner(SCENARIO)
    async with platform.service("database").transaction() as tx:
        client = await platform.service("partners").add_client(
            tx,
            bank.client.partner_id,
            "other",
            {"keys": [{**key.as_dict(private=False), "kid": "k1"}]},
        )
    program = PartnerProgram(platform.http, platform.clock, client, bank.key)
    response = await program.credentials(
        assertion=program.assertion(key=key, header={"alg": alg}),
        proof=program.proof("POST", "/oauth2/token", key=key, header={"alg": alg}),
    )
    assert response.status_code == 200, response.text


async def test_unknown_disabled_and_wrongly_signed_are_the_same_bytes(platform: Platform, bank: PartnerProgram):
    disabled = await platform.partner(SCENARIO)
    async with platform.service("database").transaction() as tx:
        await platform.service("partners").disable_client(tx, disabled.id)
    nobody: dict[str, Any] = {"iss": "cli_nobody", "sub": "cli_nobody"}
    stranger = ECKey.generate_key("P-256")
    answers = [
        await bank.credentials(assertion=bank.assertion(**nobody)),
        await bank.credentials(assertion=bank.assertion(key=stranger)),
        await bank.credentials(assertion=bank.assertion(header={"kid": "k2"})),
        await bank.credentials(assertion=bank.assertion(key=RSAKey.generate_key(2048), header={"alg": "PS256"})),
        await disabled.credentials(),
        await bank.par(SCENARIO, assertion=bank.assertion(key=stranger)),
        await disabled.par(SCENARIO),
    ]
    assert len({str(without_numbers(each)) for each in answers}) == 1
    assert "unknown" in description(answers[0])


async def test_an_unknown_client_costs_as_much_as_a_wrong_signature(
    bank: PartnerProgram, monkeypatch: pytest.MonkeyPatch
):
    work: list[str] = []

    def counted(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            work.append(what)
            return function(*args, **more)

        return call

    found = counted("a key is found", HeldKeys.find)
    monkeypatch.setattr(HeldKeys, "find", lambda *args: found(*args))
    checked = counted("a signature is checked", UnverifiedJwt.is_signed_by)
    monkeypatch.setattr(UnverifiedJwt, "is_signed_by", lambda *args: checked(*args))
    stranger = ECKey.generate_key("P-256")
    for client_id in (bank.id, "cli_nobody"):
        work.clear()
        assertion = bank.assertion(key=stranger, iss=client_id, sub=client_id)
        assert "unknown" in description(await bank.credentials(assertion=assertion))
        assert work == ["a key is found", "a signature is checked"]


async def test_a_key_may_be_found_without_its_name(bank: PartnerProgram):
    assert (await bank.credentials(assertion=bank.assertion(header={"kid": ABSENT}))).status_code == 200


async def test_an_assertion_works_once_though_eight_come_at_the_same_time(bank: PartnerProgram):
    assertion = bank.assertion()
    answers: list[httpx.Response] = []

    async def send() -> None:
        answers.append(await bank.credentials(assertion=assertion))

    async with create_task_group() as group:
        for _ in range(8):
            group.start_soon(send)
    assert sorted(each.status_code for each in answers) == [200, *[400] * 7]
    assert {description(each) for each in answers if each.status_code == 400} == {
        "client_assertion: its jti was used before"
    }


@pytest.mark.parametrize(
    "form",
    [
        {"client_assertion": ABSENT},
        {"client_assertion_type": ABSENT},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_secret": "secret"},
        {"client_id": "cli_other"},
    ],
)
async def test_private_key_jwt_is_the_only_way_in(bank: PartnerProgram, form: dict[str, Any]):
    description(await bank.credentials(**form))


async def test_http_basic_is_refused(bank: PartnerProgram):
    response = await bank.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials", "client_assertion": bank.assertion()},
        auth=(bank.id, "secret"),
    )
    description(response)


async def test_an_access_token_is_no_assertion(bank: PartnerProgram):
    description(await bank.credentials(assertion=await bank.token()))


async def test_a_suspended_partner_is_told_so_once_it_has_proven_itself(platform: Platform, bank: PartnerProgram):
    async with platform.service("database").transaction() as tx:
        await platform.service("partners").suspend_partner(tx, bank.client.partner_id)
    for response in (await bank.credentials(), await bank.par(SCENARIO)):
        assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")
    assert "unknown" in description(await bank.credentials(assertion=bank.assertion(key=ECKey.generate_key("P-256"))))


async def test_header_members_that_stand_twice_are_refused(bank: PartnerProgram):
    header = b'{"alg":"ES256","kid":"k2","kid":"k1"}'
    assertion = signed_bytes(header, msgspec.json.encode(bank.claims()), bank.key)
    assert "can't be parsed" in description(await bank.credentials(assertion=assertion))


async def test_claims_that_stand_twice_are_refused(bank: PartnerProgram):
    twice = b'{"iss":"%s","sub":"%s","sub":"cli_other"}' % (bank.id.encode(), bank.id.encode())
    assertion = signed({"alg": "ES256", "kid": "k1"}, twice, bank.key)
    assert "can't be parsed" in description(await bank.credentials(assertion=assertion))
