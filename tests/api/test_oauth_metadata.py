"""What the server tells about itself, and how its tokens look."""

from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.jwk import KeySet
from jsonschema import Draft202012Validator

from tests.support.oauth import ISSUER, Platform

pytestmark = pytest.mark.anyio


async def get(platform: Platform, path: str) -> Any:
    response = await platform.http.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    return response.json()


async def test_discovery_end_point_verification(platform: Platform):
    found = await get(platform, "/.well-known/oauth-authorization-server")
    secure = {
        name: value.replace("http://127.0.0.1:8000", "https://xinyi.example") if isinstance(value, str) else value
        for name, value in found.items()
    }
    AuthorizationServerMetadata(secure).validate()
    assert found["issuer"] == ISSUER
    for name in ("authorization", "token", "pushed_authorization_request", "introspection", "revocation"):
        assert found[f"{name}_endpoint"].startswith(f"{ISSUER}/oauth2/")
    assert found["require_pushed_authorization_requests"] is True
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["response_types_supported"] == ["code"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert found["authorization_details_types_supported"] == ["credit_scenario_check"]
    for name in ("introspection", "revocation"):
        assert found[f"{name}_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert set(found["grant_types_supported"]) == {"authorization_code", "client_credentials", "refresh_token"}
    for name in (
        "token_endpoint_auth_signing_alg_values_supported",
        "introspection_endpoint_auth_signing_alg_values_supported",
        "revocation_endpoint_auth_signing_alg_values_supported",
        "dpop_signing_alg_values_supported",
    ):
        assert set(found[name]) == {"ES256", "PS256", "Ed25519", "EdDSA"}


async def test_the_resource_names_its_authorization_server(platform: Platform):
    found = await get(platform, "/.well-known/oauth-protected-resource")
    assert found["resource"] == ISSUER
    assert found["authorization_servers"] == [ISSUER]
    assert found["dpop_bound_access_tokens_required"] is True
    assert found["bearer_methods_supported"] == []


async def test_keys_are_public_and_made_for_signatures(platform: Platform):
    (key,) = (await get(platform, "/oauth2/jwks"))["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg", "xinyi_not_before"}
    assert (key["kty"], key["use"], key["alg"]) == ("EC", "sig", "ES256")


async def test_an_access_token_is_a_jwt_of_rfc_9068_bound_to_its_key(platform: Platform):
    bank = await platform.partner("personal-loan")
    keys = KeySet.import_key_set(await get(platform, "/oauth2/jwks"))
    token = jwt.decode(await bank.token(), keys, algorithms=["ES256"])
    assert token.header["typ"] == "at+jwt"
    assert token.claims.keys() == {
        "iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "cnf", "partner_id",
    }  # fmt: skip
    assert (token.claims["iss"], token.claims["aud"]) == (ISSUER, ISSUER)
    assert token.claims["exp"] - token.claims["iat"] == 300
    assert token.claims["sub"] == token.claims["client_id"] == bank.id
    assert token.claims["cnf"] == {"jkt": bank.dpop_key.thumbprint()}


async def test_a_token_of_a_consent_knows_the_subject_as_the_partner_does(platform: Platform):
    bank = await platform.partner("personal-loan")
    request_uri = (await bank.par("personal-loan")).json()["request_uri"]
    code = await platform.subject().agree(bank, request_uri, "person-a")
    body = (await bank.redeem(code)).json()
    keys = KeySet.import_key_set(await get(platform, "/oauth2/jwks"))
    claims = jwt.decode(body["access_token"], keys, algorithms=["ES256"]).claims
    assert claims["sub"].startswith("psn_")
    assert claims["authorization_details"] == body["authorization_details"]
    consent_id = body["authorization_details"][0]["consent_id"]
    own = await bank.call("GET", f"/v1/consents/{consent_id}", await bank.token())
    assert own.json()["data"]["subject"] == claims["sub"]


async def test_nothing_that_opens_anything_lies_in_the_cache(platform: Platform):
    bank = await platform.partner("personal-loan")
    request_uri = (await bank.par("personal-loan")).json()["request_uri"]
    subject = platform.subject()
    consent = await subject.sign_in(await subject.open(bank, request_uri), "person-a")
    kept = platform.remembered()
    assert request_uri.rpartition(":")[2] not in kept
    for cookie in ("xinyi_session", "xinyi_browser"):
        assert subject.http.cookies[cookie] not in kept
    code = (await subject.decide(consent, "agree")).headers["location"].partition("code=")[2].partition("&")[0]
    assert code not in platform.remembered()


async def test_the_type_of_authorization_details_is_published_with_its_schema(platform: Platform):
    told = await get(platform, "/.well-known/oauth-authorization-server")
    endpoint = told["authorization_details_types_metadata_endpoint"].removeprefix(ISSUER)
    types = await get(platform, endpoint)
    assert list(types) == told["authorization_details_types_supported"] == ["credit_scenario_check"]
    schema = types["credit_scenario_check"]["schema"]
    assert await get(platform, schema["$id"].removeprefix(ISSUER)) == schema
    validator = Draft202012Validator(schema)
    Draft202012Validator.check_schema(schema)
    for example in types["credit_scenario_check"]["examples"]:
        validator.validate(example)
    asked = {"type": "credit_scenario_check", "scenario": "bike-deposit"}
    for fine in (asked, {**asked, "version": 1}, {**asked, "subject": {"identifier": "91440300715267264X"}}):
        validator.validate(fine)
    for wrong in ({**asked, "type": "other"}, {**asked, "more": 1}, {**asked, "version": 0}, {"type": asked["type"]}):
        assert not validator.is_valid(wrong)
