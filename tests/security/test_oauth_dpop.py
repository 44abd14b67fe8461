"""Proofs of possession at the token endpoint, with pushed requests, and at the API."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio import create_task_group
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.support.oauth import (
    ABSENT,
    ISSUER,
    VERIFIER,
    PartnerProgram,
    Platform,
    running_platform,
    signed_bytes,
    unsigned,
)
from tests.support.pairs import Pair
from xinyi.kernel.canonical import unb64url

pytestmark = pytest.mark.anyio

SCENARIO = "personal-loan"
PATH = "/v1/consents/cns_00000000000000000000000000"


@pytest.fixture
async def bank(platform: Platform) -> PartnerProgram:
    return await platform.partner(SCENARIO)


def told(response: httpx.Response) -> str:
    """What is said about a proof that was refused, at the OAuth endpoints or at the API."""
    body = response.json()
    if "error" in body:
        assert (response.status_code, body["error"]) == (400, "invalid_dpop_proof")
        return str(body["error_description"])
    assert (response.status_code, body["code"]) == (401, "invalid_dpop_proof")
    assert 'error="invalid_dpop_proof"' in response.headers["www-authenticate"]
    assert response.headers["www-authenticate"].startswith("DPoP ")
    return str(body["detail"])


NEGATIVE: dict[str, tuple[dict[str, Any], str]] = {
    "no typ": ({"header": {"typ": ABSENT}}, "typ"),
    "typ JWT": ({"header": {"typ": "JWT"}}, "typ"),
    "no jwk": ({"header": {"jwk": ABSENT}}, "jwk"),
    "jwk no object": ({"header": {"jwk": "key"}}, "jwk"),
    "jwk empty": ({"header": {"jwk": {}}}, "jwk"),
    "jwk of another curve": ({"header": {"jwk": ECKey.generate_key("P-384").as_dict(private=False)}}, "jwk"),
    "jwk of another kind": ({"header": {"jwk": OKPKey.generate_key("Ed25519").as_dict(private=False)}}, "jwk"),
    "jwk private": ({"header": {"jwk": ECKey.generate_key("P-256").as_dict(private=True)}}, "private key"),
    "jwk of somebody else": ({"header": {"jwk": ECKey.generate_key("P-256").as_dict(private=False)}}, ""),
    "jwk broken": ({"header": {"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}}, "jwk"),
    "no jti": ({"jti": ABSENT}, "jti"),
    "jti empty": ({"jti": ""}, "jti"),
    "jti a number": ({"jti": 7}, "jti"),
    "no htm": ({"htm": ABSENT}, "htm"),
    "htm another": ({"htm": "PUT"}, "htm must be"),
    "htm lower case": ({"htm": "post"}, "htm must be"),
    "no htu": ({"htu": ABSENT}, "htu"),
    "htu another path": ({"htu": f"{ISSUER}/oauth2/other"}, "htu must be"),
    "htu another host": ({"htu": "https://evil.example/oauth2/token"}, "htu must be"),
    "htu no URI": ({"htu": "http://[::1"}, "htu"),
    "htu with a user": ({"htu": "http://evil@127.0.0.1:8000/oauth2/token"}, "htu has a user"),
    "no iat": ({"iat": ABSENT}, "iat is missing"),
    "iat a text": ({"iat": "now"}, "iat must be"),
    "iat null": ({"iat": None}, "iat is missing"),
    "alg HS256": ({"key": OctKey.generate_key(256), "header": {"alg": "HS256", "jwk": {"kty": "oct"}}}, "alg"),
    "alg RS256": ({"key": RSAKey.generate_key(2048), "header": {"alg": "RS256"}}, "alg"),
}


@pytest.mark.parametrize("case", NEGATIVE)
async def test_proofs_that_are_refused_at_every_endpoint(bank: PartnerProgram, case: str):
    change, expected = NEGATIVE[case]
    assert expected in told(await bank.credentials(proof=bank.proof("POST", "/oauth2/token", **change)))
    assert expected in told(await bank.par(SCENARIO, proof=bank.proof("POST", "/oauth2/par", **change)))
    token = await bank.token()
    if "key" not in change:
        proof = bank.proof("GET", PATH, token=token, **change)
        assert expected in told(await bank.call("GET", PATH, token, proof=proof))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'"x":"', b'"x":"\\ud800', id="half a surrogate pair in the key"),
        pytest.param(b'"crv":', b'"\\ud800":1,"crv":', id="half a surrogate pair in a name"),
        pytest.param(b'"alg":', b'"alg":"none","alg":', id="alg twice"),
        pytest.param(b'"kty":', b'"kty":"RSA","kty":', id="kty twice"),
        pytest.param(b'"typ":', b'"a":' + b"[" * 40 + b"]" * 40 + b',"typ":', id="deep"),
    ],
)
async def test_a_header_is_read_as_strictly_as_a_body(bank: PartnerProgram, old: bytes, new: bytes):
    def bent(proof: str) -> str:
        header, claims, _ = map(unb64url, proof.split("."))
        assert old in header
        return signed_bytes(header.replace(old, new, 1), claims, bank.dpop_key)

    assert "can't be parsed" in told(await bank.credentials(proof=bent(bank.proof("POST", "/oauth2/token"))))
    token = await bank.token()
    response = await bank.call("GET", PATH, token, proof=bent(bank.proof("GET", PATH, token=token)))
    assert "can't be parsed" in told(response)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (-61, "61 s behind"),
        (-60, None),
        (-10, None),
        (10, None),
        (11, "11 s ahead"),
        (3600, "ahead"),
        (-3600, "behind"),
    ],
)
async def test_proofs_are_made_at_most_a_minute_ago_and_ten_seconds_ahead(
    platform: Platform, bank: PartnerProgram, offset: int, expected: str | None
):
    platform.clock.advance(timedelta(hours=2))
    response = await bank.credentials(proof=bank.proof("POST", "/oauth2/token", iat=int(bank.now) + offset))
    if expected is None:
        assert response.status_code == 200
    else:
        assert expected in told(response)


async def test_nbf_and_exp_of_a_proof_are_kept(bank: PartnerProgram):
    now = int(bank.now)
    assert "exp" in told(await bank.credentials(proof=bank.proof("POST", "/oauth2/token", exp=now - 1)))
    assert "nbf" in told(await bank.credentials(proof=bank.proof("POST", "/oauth2/token", nbf=now + 60)))
    fine = bank.proof("POST", "/oauth2/token", nbf=now, exp=now + 60)
    assert (await bank.credentials(proof=fine)).status_code == 200


async def test_proofs_older_than_what_is_remembered_are_refused(tmp_path: Path, pair: Pair):
    async with running_platform(tmp_path, pair) as platform:
        bank = await platform.partner(SCENARIO)
        early = bank.proof("POST", "/oauth2/token", iat=int(bank.now) - 1)
        assert "before this server started" in told(await bank.credentials(proof=early))


@pytest.mark.parametrize(
    "htu",
    [
        f"{ISSUER}/oauth2/token?code=1#there",
        "HTTP://127.0.0.1:8000/oauth2/token",
    ],
)
async def test_htu_is_compared_without_query_and_fragment_and_normalised(bank: PartnerProgram, htu: str):
    assert (await bank.credentials(proof=bank.proof("POST", "/oauth2/token", htu=htu))).status_code == 200


async def test_forwarded_headers_do_not_move_the_server(bank: PartnerProgram):
    token = await bank.token()
    proof = bank.proof("GET", PATH, token=token, htu=f"https://evil.example{PATH}")
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
    assert "htu" in told(await bank.call("GET", PATH, token, proof=proof, headers=headers))
    assert (await bank.call("GET", PATH, token, headers=headers)).status_code == 404


async def test_a_proof_is_needed_and_only_one(bank: PartnerProgram):
    missing = await bank.credentials(proof=ABSENT)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    two = [("dpop", bank.proof("POST", "/oauth2/token")) for _ in range(2)]
    response = await bank.http.post("/oauth2/token", data={**form, "client_assertion": bank.assertion()}, headers=two)
    assert "exactly one" in told(response)
    token = await bank.token()
    headers = [("authorization", f"DPoP {token}"), *[("dpop", bank.proof("GET", PATH, token=token)) for _ in range(2)]]
    assert "exactly one" in told(await bank.http.get(PATH, headers=headers))
    assert "exactly one" in told(await bank.http.get(PATH, headers=headers[:1]))


async def test_an_unsigned_proof_is_refused(bank: PartnerProgram):
    claims = {"jti": "1", "htm": "POST", "htu": f"{ISSUER}/oauth2/token", "iat": int(bank.now)}
    jwk = bank.dpop_key.as_dict(private=False)
    told(await bank.credentials(proof=unsigned(claims, typ="dpop+jwt", jwk=jwk)))
    told(await bank.credentials(proof=unsigned(claims, typ="dpop+jwt", jwk=jwk) + "AA"))


@pytest.mark.parametrize("where", ["token endpoint", "API"])
async def test_a_proof_works_once_though_eight_come_at_the_same_time(bank: PartnerProgram, where: str):
    token = await bank.token()
    proof = bank.proof("POST", "/oauth2/token") if where == "token endpoint" else bank.proof("GET", PATH, token=token)
    answers: list[httpx.Response] = []

    async def send() -> None:
        if where == "token endpoint":
            answers.append(await bank.credentials(proof=proof))
        else:
            answers.append(await bank.call("GET", PATH, token, proof=proof))

    async with create_task_group() as group:
        for _ in range(8):
            group.start_soon(send)
    lost = [each for each in answers if each.status_code in {400, 401}]
    assert len(lost) == 7
    assert {told(each) for each in lost} == {"its jti was used before"}


async def test_two_keys_may_use_the_same_jti(bank: PartnerProgram):
    for key in (ECKey.generate_key("P-256"), ECKey.generate_key("P-256")):
        assert (await bank.credentials(proof=bank.proof("POST", "/oauth2/token", key=key, jti="1"))).status_code == 200


@pytest.mark.parametrize("ath", [ABSENT, "", "x", "ü", 7])
async def test_a_proof_at_the_api_is_for_its_token(bank: PartnerProgram, ath: Any):
    token = await bank.token()
    assert "ath" in told(await bank.call("GET", PATH, token, proof=bank.proof("GET", PATH, token=token, ath=ath)))
    other = bank.proof("GET", PATH, token=await bank.token())
    assert "ath" in told(await bank.call("GET", PATH, token, proof=other))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Basic", ""])
async def test_a_bound_token_is_no_bearer_token(bank: PartnerProgram, scheme: str):
    response = await bank.call("GET", PATH, await bank.token(), scheme=scheme)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
    assert response.headers["www-authenticate"].startswith('DPoP algs="')


async def test_without_a_token_the_api_says_what_it_wants(bank: PartnerProgram):
    response = await bank.http.get(PATH)
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith('DPoP algs="')
    metadata = f"{ISSUER}/.well-known/oauth-protected-resource"
    assert f'resource_metadata="{metadata}"' in response.headers["www-authenticate"]
    assert (await bank.http.get(metadata)).json()["resource"] == ISSUER
    assert "error=" not in response.headers["www-authenticate"]
    assert response.headers["x-fapi-interaction-id"]


async def test_a_code_that_came_with_another_key_is_spent(platform: Platform, bank: PartnerProgram):
    request_uri = (await bank.par(SCENARIO)).json()["request_uri"]
    code = await platform.subject().agree(bank, request_uri, "person-a")
    stranger = bank.proof("POST", "/oauth2/token", key=ECKey.generate_key("P-256"))
    response = await bank.redeem(code, proof=stranger)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert (await bank.redeem(code)).json()["error"] == "invalid_grant"


async def test_dpop_jkt_is_a_thumbprint_and_the_proofs(bank: PartnerProgram):
    stranger = ECKey.generate_key("P-256").thumbprint()
    assert (await bank.par(SCENARIO, dpop_jkt=stranger)).json()["error"] == "invalid_dpop_proof"
    assert (await bank.par(SCENARIO, proof=ABSENT, dpop_jkt="short")).json()["error"] == "invalid_request"


async def test_a_code_without_a_bound_key_takes_the_key_of_the_token_request(platform: Platform, bank: PartnerProgram):
    pushed = await bank.par(SCENARIO, proof=ABSENT)
    code = await platform.subject().agree(bank, pushed.json()["request_uri"], "person-a")
    assert (await bank.redeem(code, code_verifier=VERIFIER)).status_code == 200


class TestANonceOfTheServer:
    """RFC 9449 §8 and §9, when the setting asks for them."""

    @pytest.fixture
    async def nonces(self, tmp_path: Path, pair: Pair) -> AsyncGenerator[Platform]:
        async with running_platform(tmp_path, pair, dpop_nonces=True) as platform:
            yield platform

    async def test_is_asked_for_and_brought_along_everywhere(self, nonces: Platform):
        bank = await nonces.partner(SCENARIO)
        for send, path in ((bank.credentials, "/oauth2/token"), (lambda **m: bank.par(SCENARIO, **m), "/oauth2/par")):
            refused = await send()
            assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
            nonce = refused.headers["dpop-nonce"]
            taken = await send(proof=bank.proof("POST", path, nonce=nonce))
            assert taken.is_success
            assert taken.headers["dpop-nonce"] == nonce
        token = (await bank.credentials(proof=bank.proof("POST", "/oauth2/token", nonce=nonce))).json()["access_token"]
        refused = await bank.call("GET", PATH, token)
        assert (refused.status_code, refused.json()["code"]) == (401, "use_dpop_nonce")
        assert 'error="use_dpop_nonce"' in refused.headers["www-authenticate"]
        proof = bank.proof("GET", PATH, token=token, nonce=refused.headers["dpop-nonce"])
        assert (await bank.call("GET", PATH, token, proof=proof)).status_code == 404

    async def test_is_not_needed_where_no_proof_is(self, nonces: Platform):
        bank = await nonces.partner(SCENARIO)
        assert (await bank.par(SCENARIO, proof=ABSENT)).status_code == 201
        assert "dpop-nonce" not in (await bank.http.get("/v1/scenarios")).headers

    @pytest.mark.parametrize(
        ("age", "good"), [(0, True), (59, True), (120, False), (3600, False)], ids=["new", "used", "old", "very old"]
    )
    async def test_is_good_for_a_minute_at_least_and_two_at_most(self, nonces: Platform, age: int, good: bool):
        bank = await nonces.partner(SCENARIO)
        nonce = (await bank.credentials()).headers["dpop-nonce"]
        nonces.clock.advance(timedelta(seconds=age))
        response = await bank.credentials(proof=bank.proof("POST", "/oauth2/token", nonce=nonce))
        assert response.is_success is good
        if not good:
            assert response.json()["error"] == "use_dpop_nonce"
            assert response.headers["dpop-nonce"] != nonce

    @pytest.mark.parametrize("nonce", ["", "x", "é", 7, None, ["x"]])
    async def test_that_is_none_of_ours_is_refused(self, nonces: Platform, nonce: Any):
        bank = await nonces.partner(SCENARIO)
        response = await bank.credentials(proof=bank.proof("POST", "/oauth2/token", nonce=nonce))
        assert response.json()["error"] == "use_dpop_nonce"

    async def test_makes_no_proof_good_twice(self, nonces: Platform):
        bank = await nonces.partner(SCENARIO)
        nonce = (await bank.credentials()).headers["dpop-nonce"]
        proof = bank.proof("POST", "/oauth2/token", nonce=nonce)
        assert (await bank.credentials(proof=proof)).is_success
        assert told(await bank.credentials(proof=proof)) == "its jti was used before"

    async def test_is_not_looked_at_unless_asked_for(self, bank: PartnerProgram):
        response = await bank.credentials(proof=bank.proof("POST", "/oauth2/token", nonce="anything"))
        assert response.is_success
        assert "dpop-nonce" not in response.headers
