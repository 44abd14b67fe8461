"""Whatever the API document allows, and much that it doesn't, is answered as the document says."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from msgspec import Struct
from requests.auth import AuthBase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.clock import ManualClock
from tests.support.oauth import ISSUER, PartnerProgram, Platform
from tests.support.server import running_server
from xinyi.app import api_document, create_app
from xinyi.settings import Settings

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SCENARIO = "bike-deposit"
PERSONA = "person-a"
NEIGHBOUR = "person-b"


class Caller(AuthBase):
    """Signs each request anew, as its operation's security asks."""

    def __init__(self, partner: PartnerProgram, token: str) -> None:
        self._partner = partner
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        path = urlsplit(str(request.url)).path
        request.headers["authorization"] = f"DPoP {self._token}"
        request.headers["dpop"] = self._partner.proof(str(request.method), path, token=self._token)
        return request


class Signed(Struct):
    """A live server, and those who may call it."""

    url: str
    partner: Caller
    source: Caller
    cookies: dict[str, str]
    csrf: str
    ids: dict[str, str]
    """Ids that exist, by the name of their parameter."""
    spare: str
    """A consent to give up, so that the other stays for the subject to pause and withdraw."""

    def known(self, case: "schemathesis.Case[Any]") -> None:
        """Puts ids that exist in the place of about every other one that was made up."""
        known = {**self.ids, "consent_id": self.spare} if case.method == "DELETE" else self.ids
        for name, value in case.path_parameters.items():
            if name in known and len(str(value)) % 2:
                case.path_parameters[name] = known[name]
        body = case.body
        is_check = case.operation.label == "POST /v1/checks"
        if is_check and isinstance(body, dict) and len(str(body.get("consent_id"))) % 2:
            body.update(scenario=SCENARIO, consent_id=self.ids["consent_id"])

    def authorised(self, security: list[dict[str, Any]]) -> dict[str, Any]:
        """What a call needs to be let in."""
        if any("session" in each for each in security):
            return {"cookies": self.cookies, "headers": {"x-csrf-token": self.csrf}}
        scopes = [scope for each in security for scope in each.get("dpop", ())]
        if "records" in scopes:
            return {"auth": self.source}
        return {"auth": self.partner} if security else {}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    folder, clock = tmp_path_factory.mktemp("platform"), ManualClock()
    with running_server(lambda _url: create_app(Settings(data_dir=folder, issuer=ISSUER), clock)) as server:
        platform = Platform(server.app, clock)
        yield server.call(_enter, platform, server.url)


async def _enter(platform: Platform, url: str) -> Signed:
    partner, source = await platform.partner(SCENARIO, kind="bike-share"), await platform.source()
    subject = platform.subject()
    consents: list[str] = []
    for browser, persona in ((subject, PERSONA), (platform.subject(), NEIGHBOUR)):
        request_uri = (await partner.par(SCENARIO)).json()["request_uri"]
        code = await browser.agree(partner, request_uri, persona)
        consents.append((await partner.redeem(code)).json()["authorization_details"][0]["consent_id"])
    token = await partner.token()
    asked = {"scenario": SCENARIO, "consent_id": consents[0], "reference": "CASE-1"}
    check = await partner.call("POST", "/v1/checks", token, json=asked)
    session = await subject.http.get("/v1/me/session")
    return Signed(
        url=url,
        partner=Caller(partner, token),
        source=Caller(source, await source.token()),
        cookies=dict(subject.http.cookies),
        csrf=session.json()["data"]["csrf"],
        ids={"consent_id": consents[0], "check_id": check.json()["data"]["id"], "scenario_id": SCENARIO},
        spare=consents[1],
    )


@schemathesis.serializer("application/x-ndjson", "text/csv")
def as_text(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Uploads are text, whatever it holds."""
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")


schema = schemathesis.openapi.from_dict(api_document())


@schema.parametrize()
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_it_says(case: "schemathesis.Case[Any]", signed: Signed) -> None:
    signed.known(case)
    access = signed.authorised(case.operation.definition.raw["security"])
    case.call_and_validate(base_url=signed.url, checks=CHECKS, **access)
