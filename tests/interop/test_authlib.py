"""Authlib's own client. What it lacks for FAPI 2.0 is given to it from outside: the issuer as the assertion's audience,
a short life for it, the scheme ``DPoP``, and a hook that proves the key with each request."""

import hashlib
import secrets
import time
from typing import Any

import anyio
import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Auth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.interop.conftest import REDIRECT_URI, SCENARIO, Stage, agrees
from xinyi.kernel.canonical import b64url

DETAILS = f'[{{"type": "credit_scenario_check", "scenario": "{SCENARIO}"}}]'


def _dpop_scheme(token: str, uri: str, headers: dict[str, str], body: str, _placement: str) -> tuple[str, Any, str]:
    return uri, {**headers, "authorization": f"DPoP {token}"}, body


class DPoPAuth(OAuth2Auth):  # type: ignore[misc]  # authlib has no types
    SIGN_METHODS = {"dpop": _dpop_scheme}  # noqa: RUF012 (Authlib's own form)


class DPoPClient(AsyncOAuth2Client):  # type: ignore[misc]  # authlib has no types
    token_auth_class = DPoPAuth


class Prover:
    """A hook of httpx: each request carries a fresh proof (RFC 9449)."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256")

    async def __call__(self, request: httpx2.Request) -> None:
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": request.method,
            "htu": str(request.url.copy_with(query=None)),
            "iat": int(time.time()),
        }
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "DPoP":
            claims["ath"] = b64url(hashlib.sha256(token.encode()).digest())
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": self.key.as_dict(private=False)}
        request.headers["dpop"] = jwt.encode(header, claims, self.key, algorithms=["ES256"])


class Assertion(PrivateKeyJWT):  # type: ignore[misc]  # authlib has no types
    """Authlib's live for an hour unless it is told otherwise; FAPI 2.0 servers take shorter lives alone."""

    def sign(self, auth: Any, token_endpoint: str) -> str:
        self.claims = {"exp": int(time.time()) + 60}
        return str(super().sign(auth, token_endpoint))


def client_of(stage: Stage) -> Any:
    key = ECKey.import_key(stage.key)
    client = DPoPClient(
        stage.client_id,
        key,
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",
        redirect_uri=REDIRECT_URI,
        code_challenge_method="S256",
        event_hooks={"request": [Prover()]},
    )
    client.register_client_auth_method(Assertion(stage.issuer, headers={"kid": stage.key["kid"]}, alg="ES256"))
    return client


async def discovered(client: Any, stage: Stage) -> dict[str, str]:
    answer = await client.get(f"{stage.issuer}/.well-known/oauth-authorization-server", auth=None)
    metadata: dict[str, str] = answer.json()
    client.metadata.update(token_endpoint=metadata["token_endpoint"])
    return metadata


async def check(client: Any, stage: Stage, consent_id: str, reference: str) -> tuple[int, str]:
    body = {"scenario": SCENARIO, "consent_id": consent_id, "reference": reference}
    answer = await client.post(f"{stage.issuer}/v1/checks", json=body)
    return answer.status_code, answer.json()["data"]["outcome"]


async def test_the_whole_flow(stage: Stage):
    async with client_of(stage) as client:
        server = await discovered(client, stage)
        verifier = secrets.token_urlsafe(48)
        url, state = client.create_authorization_url(
            server["authorization_endpoint"], code_verifier=verifier, authorization_details=DETAILS
        )
        pushed = await client.post(
            server["pushed_authorization_request_endpoint"],
            data=dict(httpx2.URL(url).params),
            auth=client.client_auth(client.token_endpoint_auth_method),
        )
        assert pushed.status_code == 201, pushed.text
        short = {"client_id": stage.client_id, "request_uri": pushed.json()["request_uri"]}
        address = httpx2.URL(server["authorization_endpoint"], params=short)
        back = await anyio.to_thread.run_sync(agrees, str(address))
        token = await client.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
        [detail] = token["authorization_details"]
        assert await check(client, stage, detail["consent_id"], "INTEROP-1") == (200, "met")

        refreshed = await client.refresh_token()
        assert refreshed["access_token"] != token["access_token"]
        assert await check(client, stage, detail["consent_id"], "INTEROP-2") == (200, "met")

        told = await client.introspect_token(
            server["introspection_endpoint"],
            token=refreshed["access_token"],
            auth=client.client_auth(client.token_endpoint_auth_method),
        )
        assert told.json()["active"] is True
        revoked = await client.revoke_token(server["revocation_endpoint"], token=refreshed["refresh_token"])
        assert revoked.status_code == 200


async def test_the_clients_own_token(stage: Stage):
    async with client_of(stage) as client:
        await discovered(client, stage)
        token = await client.fetch_token(grant_type="client_credentials", scope="partner")
        assert (token["token_type"], token["scope"]) == ("DPoP", "partner")
        answer = await client.get(f"{stage.issuer}/v1/partner")
        assert answer.json()["data"]["client"]["id"] == stage.client_id
