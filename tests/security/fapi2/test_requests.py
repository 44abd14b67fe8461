"""The modules about pushed authorization requests, and requests that weren't pushed."""

from datetime import timedelta

from tests.security.fapi2.suite import ISSUER, Server, TestClient, given, refused, shown_as_error
from tests.support.oauth import ABSENT, CHALLENGE, details


async def test_fapi2_security_profile_final_par_without_duplicate_parameters(client: TestClient):
    """``client_id`` and ``request_uri`` are enough for the browser to bring."""
    page = await client.subject.http.get(
        "/oauth2/authorize", params={"client_id": client.id, "request_uri": await client.pushed()}
    )
    assert given(await client.ask(client.code_form((await client.agree(page))["code"])))


async def test_fapi2_security_profile_final_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(
    client: TestClient,
):
    request_uri = await client.pushed()
    assert (await client.visit(request_uri)).status_code == 200
    assert "code" in await client.agree(await client.visit(request_uri))


async def test_fapi2_security_profile_final_par_attempt_reuse_request_uri(client: TestClient):
    request_uri = await client.pushed()
    assert "code" in await client.agree(await client.visit(request_uri))
    shown_as_error(await client.visit(request_uri))
    client.subject = client.server.subject()
    shown_as_error(await client.visit(request_uri))


async def test_fapi2_security_profile_final_par_attempt_to_use_expired_request_uri(server: Server, client: TestClient):
    response = await client.push()
    server.clock.advance(timedelta(seconds=response.json()["expires_in"]))
    shown_as_error(await client.visit(response.json()["request_uri"]))


async def test_fapi2_security_profile_final_par_attempt_to_use_request_uri_for_different_client(
    client: TestClient, client2: TestClient
):
    shown_as_error(await client2.visit(await client.pushed()))


async def test_fapi2_security_profile_final_par_authorization_request_containing_request_uri_form_param(
    client: TestClient,
):
    response = await client.push(request_uri="urn:ietf:params:oauth:request_uri:0123456789")
    refused(response, "invalid_request", "invalid_request_object", "request_uri_not_supported")


async def test_fapi2_security_profile_final_par_attempt_invalid_http_method(client: TestClient):
    sent = client.form("/oauth2/par", {"client_id": client.id}, proof=client.proof("PUT", "/oauth2/par"))
    response = await client.http.put("/oauth2/par", **sent)
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]


async def test_fapi2_security_profile_final_par_ensure_pkce_required(client: TestClient):
    refused(await client.push(code_challenge=ABSENT, code_challenge_method=ABSENT), "invalid_request")


async def test_fapi2_security_profile_final_par_plain_pkce_rejected(client: TestClient):
    refused(await client.push(code_challenge_method="plain"), "invalid_request")
    refused(await client.push(code_challenge_method=ABSENT), "invalid_request")


async def test_fapi2_security_profile_final_par_test_array_as_audience_fails(client: TestClient):
    assertion = client.assertion(aud=[ISSUER, "https://other1.example.com"])
    refused(await client.push(assertion=assertion), "invalid_client")


async def test_fapi2_security_profile_final_par_test_par_endpoint_url_as_audience_fails(client: TestClient):
    refused(await client.push(assertion=client.assertion(aud=f"{ISSUER}/oauth2/par")), "invalid_client")


async def test_fapi2_security_profile_final_par_test_token_endpoint_url_as_audience_fails(client: TestClient):
    refused(await client.push(assertion=client.assertion(aud=f"{ISSUER}/oauth2/token")), "invalid_client")


async def test_fapi2_security_profile_final_par_ensure_jwt_client_assertions_nbf_8_seconds_in_the_future_is_accepted(
    client: TestClient,
):
    ahead = int(client.now) + 8
    assertion = client.assertion(iat=ahead, nbf=ahead, exp=ahead + 60)
    assert "code" in await client.agree(await client.visit(await client.pushed(assertion=assertion)))


async def test_fapi2_security_profile_final_par_ensure_jwt_client_assertions_nbf_over_60_seconds_in_the_future_fails(
    client: TestClient,
):
    ahead = int(client.now) + 65
    assertion = client.assertion(iat=ahead, nbf=ahead, exp=ahead + 60)
    refused(await client.push(assertion=assertion), "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_ensure_request_object_without_redirect_uri_fails(client: TestClient):
    refused(await client.push(redirect_uri=ABSENT), "invalid_request", "invalid_request_object")


async def test_fapi2_security_profile_final_ensure_redirect_uri_in_authorization_request(client: TestClient):
    """Neither is the only registered one taken instead, nor one that the browser brings."""
    refused(await client.push(redirect_uri=ABSENT), "invalid_request", "invalid_request_object")
    shown_as_error(
        await client.subject.http.get(
            "/oauth2/authorize", params={"client_id": client.id, "response_type": "code", "state": "s"}
        )
    )


async def test_fapi2_security_profile_final_ensure_unsigned_authorization_request_without_using_par_fails(
    client: TestClient,
):
    request = {
        "client_id": client.id,
        "response_type": "code",
        "redirect_uri": client.redirect_uri,
        "state": "the-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "authorization_details": details("power-bank-deposit"),
    }
    shown_as_error(await client.subject.http.get("/oauth2/authorize", params=request))


async def test_fapi2_security_profile_final_ensure_response_type_code_idtoken_fails(client: TestClient):
    response = await client.push(response_type="code id_token")
    refused(response, "unsupported_response_type", "invalid_request", "unauthorized_client")


async def test_fapi2_security_profile_final_ensure_response_type_token_fails(client: TestClient):
    response = await client.push(response_type="token")
    refused(response, "unsupported_response_type", "invalid_request", "unauthorized_client")
