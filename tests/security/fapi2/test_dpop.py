"""The modules about proofs of possession."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec
import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.security.fapi2.plan import Plan
from tests.security.fapi2.suite import ISSUER, TestClient, given, refused, resource
from tests.support.oauth import ABSENT
from xinyi.kernel.canonical import b64url, unb64url

Change = Mapping[str, Any]


class Case:
    """One bent proof at the protected resource, and whether it still is one."""

    def __init__(self, fine: bool, change: Callable[[TestClient, str, str], Change] | None = None, **same: Any) -> None:
        self.fine = fine
        self._change = change
        self._same = same

    def proof(self, client: TestClient, path: str, token: str) -> str:
        """``path``: of the resource."""
        change = {**self._same, **(self._change(client, path, token) if self._change else {})}
        return client.proof("GET", path, **{"token": token, **change})


CASES: Final[Mapping[str, Case]] = {
    "typ is missing": Case(False, header={"typ": ABSENT}),
    "jwk is missing": Case(False, header={"jwk": ABSENT}),
    "jti is missing": Case(False, jti=ABSENT),
    "htm is missing": Case(False, htm=ABSENT),
    "htu is missing": Case(False, htu=ABSENT),
    "iat is missing": Case(False, iat=ABSENT),
    "ath is missing": Case(False, ath=ABSENT),
    "typ is another": Case(False, header={"typ": "dpop+JWT2"}),
    "jwk is a private key": Case(False, lambda client, *_: {"header": {"jwk": client.dpop_key.as_dict(private=True)}}),
    "htm is another method": Case(False, htm="PUT"),
    "htu has a query and a fragment": Case(True, lambda _, path, __: {"htu": f"{ISSUER}{path}?query=1#fragment"}),
    "htu is without the request's query": Case(True, lambda _, path, __: {"htu": f"{ISSUER}{path}"}),
    "htu is another address": Case(False, htu="https://www.example.com/resource"),
    "iat is one hour ahead": Case(False, lambda client, *_: {"iat": int(client.now) + 3600}),
    "iat is one hour ago": Case(False, lambda client, *_: {"iat": int(client.now) - 3600}),
    "first use of a jti": Case(True, jti="the-same"),
    "second use of the same jti": Case(False, jti="the-same"),
    "ath is another token's": Case(False, ath="fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"),
    "by another key": Case(False, lambda *_: {"key": ECKey.generate_key("P-256")}),
    "unknown members in header and claims": Case(True, header={"extra": "1"}, more="2"),
    "htu with scheme and host in capitals": Case(True, lambda _, path, __: {"htu": f"HTTPS://CREDIT.EXAMPLE{path}"}),
    "htu with the scheme's usual port": Case(True, lambda _, path, __: {"htu": f"{ISSUER}:443{path}"}),
}


@pytest.fixture(scope="module")
def rsa_key() -> RSAKey:
    return RSAKey.generate_key(2048)


async def test_fapi2_security_profile_final_dpop_negative_tests(client: TestClient, plan: Plan, rsa_key: RSAKey):
    """One token; a case that is refused must not have spoilt it for the next."""
    body = await client.tokens(plan)
    path, token = resource(body), body["access_token"]

    async def status(*proofs: str, name: str = "dpop", scheme: str = "DPoP", query: str = "") -> int:
        headers = [("authorization", f"{scheme} {token}"), *((name, proof) for proof in proofs)]
        response = await client.http.get(path + query, headers=headers)
        if response.status_code != 200:
            assert response.headers["www-authenticate"].startswith("DPoP ")
        return response.status_code

    def proof(**change: Any) -> str:
        return client.proof("GET", path, token=token, **change)

    assert await status(proof()) == 200
    assert await status(proof(), name="DPOP") == 200
    assert await status(proof(), proof()) == 401
    assert await status(proof()[1:]) == 401
    for name, case in CASES.items():
        query = "?limit=1" if "query" in name else ""
        expected = 200 if case.fine else 401
        assert await status(case.proof(client, path, token), query=query) == expected, name
    signed = proof()
    header, claims, signature = signed.split(".")
    members = msgspec.json.decode(unb64url(header))
    for alg in ({}, {"alg": "none"}):
        bent = b64url(msgspec.json.encode({**{k: v for k, v in members.items() if k != "alg"}, **alg}))
        assert await status(f"{bent}.{claims}.{signature}") == 401, alg
        assert await status(f"{bent}.{claims}.") == 401, alg
    assert await status(f"{header}.{claims}.{signature[::-1]}") == 401, "the signature is bent"
    assert await status() == 401, "no proof"
    assert await status(scheme="Bearer") == 401, "no proof, and Bearer"
    assert await status(proof(), scheme="Bearer") == 401, "a proof, and Bearer"
    assert await status(proof()) == 200, "a good proof still works"

    by_rsa: dict[str, Any] = {"key": rsa_key, "header": {"alg": "PS256"}}
    asked = await client.ask(
        await client.token_form(plan)
        if plan is Plan.CREDENTIALS
        else client.code_form(await client.code(proof=ABSENT)),
        proof=client.proof("POST", "/oauth2/token", **by_rsa),
    )
    body = given(asked)
    path, token = resource(body), body["access_token"]
    assert await status(proof(key=rsa_key, header={"alg": "RS256"})) == 401
    assert await status(proof(**by_rsa)) == 200


async def test_fapi2_security_profile_final_check_dpop_proof_nbf_exp(client: TestClient, plan: Plan):
    now = int(client.now)
    times: dict[str, Any] = {"nbf": now, "exp": now + 300}
    form = await client.token_form(plan)
    body = given(await client.ask(form, proof=client.proof("POST", "/oauth2/token", **times)))
    proof = client.proof("GET", resource(body), token=body["access_token"], **times)
    assert (await client.read(body, proof=proof)).status_code == 200


async def made(client: TestClient, plan: Plan, offset: int) -> None:
    """A token and the resource, with proofs that are dated so many seconds from now."""
    iat = int(client.now) + offset
    if plan is Plan.CODE:
        code = await client.code(proof=client.proof("POST", "/oauth2/par", iat=iat))
        form = client.code_form(code)
    else:
        form = await client.token_form(plan)
    body = given(await client.ask(form, proof=client.proof("POST", "/oauth2/token", iat=iat)))
    proof = client.proof("GET", resource(body), token=body["access_token"], iat=iat)
    assert (await client.read(body, proof=proof)).status_code == 200


async def test_fapi2_security_profile_final_ensure_dpopproof_with_iat_10seconds_before_succeeds(
    client: TestClient, plan: Plan
):
    client.server.clock.advance(timedelta(seconds=30))  # a proof from before the server began to remember is refused
    await made(client, plan, -10)


async def test_fapi2_security_profile_final_ensure_dpopproof_with_iat_10seconds_after_succeeds(
    client: TestClient, plan: Plan
):
    await made(client, plan, 10)


async def test_fapi2_security_profile_final_ensure_holder_of_key_required(client: TestClient, plan: Plan):
    form = await client.token_form(plan)
    refused(await client.ask(form, proof=ABSENT), "invalid_request", "invalid_grant", "invalid_dpop_proof")


async def test_fapi2_security_profile_final_ensure_mismatched_dpop_jkt_fails(client: TestClient):
    stranger = ECKey.generate_key("P-256").thumbprint()
    refused(await client.push(dpop_jkt=stranger), "invalid_request", "invalid_dpop_proof")


async def test_fapi2_security_profile_final_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt(
    client: TestClient,
):
    form = client.code_form(await client.code())
    client.dpop_key = ECKey.generate_key("P-256")
    refused(await client.ask(form), "invalid_request", "invalid_grant", "invalid_dpop_proof")


async def test_fapi2_security_profile_final_ensure_token_endpoint_fails_with_mismatched_dpop_jkt(client: TestClient):
    stranger = ECKey.generate_key("P-256").thumbprint()
    form = client.code_form(await client.code(proof=ABSENT, dpop_jkt=stranger))
    refused(await client.ask(form), "invalid_request", "invalid_grant", "invalid_dpop_proof")


async def test_fapi2_security_profile_final_ensure_dpopproof_at_par_endpoint_binding_success(client: TestClient):
    body = given(await client.ask(client.code_form(await client.code(proof=client.proof("POST", "/oauth2/par")))))
    assert (await client.read(body)).status_code == 200


async def test_fapi2_security_profile_final_ensure_dpop_auth_code_binding_success(client: TestClient):
    code = await client.code(proof=ABSENT, dpop_jkt=client.dpop_key.thumbprint())
    body = given(await client.ask(client.code_form(code)))
    assert (await client.read(body)).status_code == 200
