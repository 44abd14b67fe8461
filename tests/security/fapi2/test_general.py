"""The modules about discovery, the ways that go well, and refresh tokens."""

from datetime import timedelta

import httpx
from joserfc.jwk import ECKey

from tests.security.fapi2.plan import Plan
from tests.security.fapi2.suite import ISSUER, Server, TestClient, given, refused, resource
from tests.support.oauth import ABSENT, VERIFIER, forms

ALGORITHMS = {"ES256", "PS256", "Ed25519", "EdDSA"}


async def test_fapi2_security_profile_final_discovery_end_point_verification(server: Server, plan: Plan):
    response = await server.http.get("/.well-known/oauth-authorization-server")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    told = response.json()
    assert told["issuer"] == ISSUER
    assert "registration_endpoint" not in told
    assert told["token_endpoint"].startswith("https://")
    assert told["jwks_uri"].startswith("https://")
    assert set(told["dpop_signing_alg_values_supported"]) <= ALGORITHMS
    assert set(told["token_endpoint_auth_signing_alg_values_supported"]) <= ALGORITHMS
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    if plan is Plan.CREDENTIALS:
        assert "client_credentials" in told["grant_types_supported"]
    else:
        assert {"authorization_code", "refresh_token"} <= set(told["grant_types_supported"])
        assert told["code_challenge_methods_supported"] == ["S256"]
        assert told["pushed_authorization_request_endpoint"].startswith("https://")
        assert told["authorization_response_iss_parameter_supported"] is True


async def test_fapi2_security_profile_final_happy_flow(client: TestClient, client2: TestClient, plan: Plan):
    """Both clients, and neither with the token of the other; the browser brings some of the parameters again."""
    bodies = []
    for each in (client, client2):
        if plan is Plan.CODE:
            page = await each.visit(await each.pushed(), response_type="code", redirect_uri=each.redirect_uri)
            found = await each.agree(page)
            assert found.keys() == {"code", "state"}
            assert found["state"] == "the-state"
            body = given(await each.ask(each.code_form(found["code"])))
        else:
            body = await each.tokens(plan)
        response = await each.read(body)
        assert response.status_code == 200, response.text
        assert response.headers["x-fapi-interaction-id"]
        bodies.append(body)
    stolen = await client.call("GET", resource(bodies[1]), bodies[1]["access_token"])
    assert stolen.status_code == 401


async def test_fapi2_security_profile_final_user_rejects_authentication(client: TestClient, client2: TestClient):
    state = "s" * 128
    for each in (client, client2):
        page = await each.visit(await each.pushed(state=state))
        back = each.came_back(await each.subject.submit(forms(page)[-1]))
        assert back == {"error": "access_denied", "state": state}


async def test_fapi2_security_profile_final_access_token_type_header_case_sensitivity(client: TestClient, plan: Plan):
    body = await client.tokens(plan)
    for scheme in ("DPoP", "dpop", "DPOP", "dPOp"):
        assert (await client.read(body, scheme=scheme)).status_code == 200


async def test_fapi2_security_profile_final_refresh_token(server: Server, client: TestClient, client2: TestClient):
    """A confidential client's refresh token is bound to its authentication, so a new key is fine (RFC 9449 §5)."""

    async def refresh(each: TestClient, token: str, *, proof: str | None = None, **more: object) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": each.id, **more}
        return await each.ask(form, proof=proof)

    tokens = []
    for each, scope in ((client, "checks"), (client2, ABSENT)):
        first = await each.tokens(Plan.CODE)
        tokens.append(first["refresh_token"])
        server.clock.advance(timedelta(seconds=1))
        each.dpop_key = ECKey.generate_key("P-256")
        again = given(await refresh(each, first["refresh_token"], scope=scope))
        assert again["access_token"] != first["access_token"]
        assert "refresh_token" not in again, "it isn't rotated (FAPI 2.0 §5.3.2.1-9)"
        assert (await each.read(again)).status_code == 200
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "client_id": each.id}
        refused(await each.ask(form, proof=ABSENT), "invalid_request", "invalid_grant", "invalid_client")
        assert given(await refresh(each, first["refresh_token"]))
    refused(await refresh(client, tokens[1]), "invalid_grant")


async def test_fapi2_security_profile_final_plain_fapi_tolerate_unregistered_redirect_uri(client: TestClient):
    """It isn't tolerated: it is refused at once, which the module accepts."""
    refused(await client.push(redirect_uri=f"{client.redirect_uri}/0123456789"), "invalid_request")


async def test_fapi2_security_profile_final_state_only_outside_request_object_not_used(client: TestClient):
    back = await client.agree(await client.visit(await client.pushed(state=ABSENT), state="from-outside"))
    assert back.keys() == {"code"}


async def test_fapi2_security_profile_final_ensure_different_state_inside_and_outside_request_object(
    client: TestClient,
):
    back = await client.agree(await client.visit(await client.pushed(state="inside"), state="outside"))
    assert back["state"] == "inside"


async def test_fapi2_security_profile_final_ensure_authorization_request_without_state_success(client: TestClient):
    back = await client.agree(await client.visit(await client.pushed(state=ABSENT)))
    assert back.keys() == {"code"}
    assert given(await client.ask(client.code_form(back["code"])))


async def test_fapi2_security_profile_final_ensure_authorization_request_with_long_state(client: TestClient):
    state = "0123456789" * 100
    back = await client.agree(await client.visit(await client.pushed(state=state)))
    assert back["state"] == state


async def test_fapi2_security_profile_final_ensure_other_scope_order_succeeds(client: TestClient):
    """The redirect's one scope has no other order; those that a client asks for itself have."""
    assert given(await client.ask(client.code_form(await client.code(scope="checks"))))["scope"] == "checks"
    for scope in ("checks consents partner", "partner consents checks"):
        form = {"grant_type": "client_credentials", "scope": scope}
        assert set(given(await client.ask(form))["scope"].split()) == set(scope.split())


async def test_fapi2_security_profile_final_attempt_reuse_authorization_code_after_one_second(
    server: Server, client: TestClient
):
    code = await client.code()
    body = given(await client.ask(client.code_form(code)))
    assert (await client.read(body)).status_code == 200
    server.clock.advance(timedelta(seconds=1))
    refused(await client.ask(client.code_form(code)), "invalid_grant")
    assert (await client.read(body)).status_code == 401, "what the code gave is over"


async def test_fapi2_security_profile_final_ensure_token_endpoint_fails_with_expired_auth_code(
    server: Server, client: TestClient
):
    code = await client.code()
    server.clock.advance(timedelta(seconds=65))
    refused(await client.ask(client.code_form(code)), "invalid_grant")


async def test_fapi2_security_profile_final_ensure_authorization_code_is_bound_to_client(
    client: TestClient, client2: TestClient
):
    form = client.code_form(await client.code(proof=ABSENT))
    refused(await client2.ask({**form, "client_id": client2.id}), "invalid_grant")


async def test_fapi2_security_profile_final_incorrect_pkce_code_verifier_rejected(client: TestClient):
    form = client.code_form(await client.code(), code_verifier=VERIFIER[::-1])
    refused(await client.ask(form), "invalid_grant")


async def test_fapi2_security_profile_final_ensure_pkce_code_verifier_required(client: TestClient):
    form = client.code_form(await client.code(), code_verifier=ABSENT)
    refused(await client.ask(form), "invalid_grant", "invalid_request")
