"""Two tenants with real things of every kind, and the operations of the document to call them by."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc.jwk import ECKey
from msgspec import Struct

from tests.support.oauth import PartnerProgram, Platform, Subject
from xinyi.app import api_document
from xinyi.events.relay import Relay
from xinyi.kernel.text import Text
from xinyi.sandbox import personas

SCENARIO: Final = "bike-deposit"
NDJSON: Final = "application/x-ndjson"
INTERACTION: Final = "x-fapi-interaction-id"


class Operation(Struct, frozen=True):
    """One operation of the OpenAPI document."""

    id: str
    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    """Name and place (path, query, header)."""
    bodies: dict[str, Any]
    """An example by media type; for JSON its value, else its text."""
    caller: str
    """``public``, ``session``, or the scope of a token."""

    @property
    def in_path(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))


def operations() -> list[Operation]:
    """Everything that the document describes."""
    return list(_operations(api_document()))


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method not in {"get", "post", "put", "patch", "delete"}:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            yield Operation(
                operation["operationId"],
                method.upper(),
                path,
                tuple((each["name"], each["in"]) for each in operation.get("parameters", []) if "name" in each),
                {media_type: _example(given) for media_type, given in content.items()},
                _caller(operation.get("security", [])),
            )


def _example(given: Mapping[str, Any]) -> Any:
    if "example" in given:
        return given["example"]
    return next(iter(given["examples"].values()))["value"]


def _caller(security: list[dict[str, list[str]]]) -> str:
    if not security:
        return "public"
    (scheme, scopes) = next(iter(security[0].items()))
    return "session" if scheme == "session" else scopes[0]


class Tenant:
    """A partner, a source, and a person at a browser, with something of theirs of each kind."""

    def __init__(self, platform: Platform, persona: str, partner: PartnerProgram, source: PartnerProgram) -> None:
        self.platform = platform
        self.persona = persona
        self.partner = partner
        self.source = source
        self.browser: Subject = platform.subject()
        self.things: dict[str, str] = {}
        """The ids of what is theirs, by kind."""
        self.csrf = ""
        self.request_uri = ""
        self.code = ""
        self.webhook_secret = ""
        self.bound: dict[str, Any] = {}
        """The token response to the code: its token is bound to the first consent."""
        self._tokens: dict[str, str] = {}

    async def token(self, caller: str) -> str:
        """The token of the client that may call this, with all its scopes."""
        if caller not in self._tokens:
            program = self.source if caller == "records" else self.partner
            self._tokens[caller] = await program.token()
        return self._tokens[caller]

    async def call(
        self, caller: str, method: str, path: str, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        """Calls as whoever may: the browser with its session, a client with its token, or anybody."""
        headers = more.pop("headers", {})
        if caller == "public":
            return await self.platform.http.request(method, path, headers=headers, **more)
        if caller == "session":
            given = {} if method == "GET" else {"x-csrf-token": self.csrf}
            return await self.browser.http.request(method, path, headers={**given, **headers}, **more)
        program = self.source if caller == "records" else self.partner
        held = token or await self.token(caller)
        proof = program.proof(method, urlsplit(path).path, token=held)
        return await program.call(method, path, held, proof=proof, headers=headers, **more)

    async def made(self, caller: str, method: str, path: str, **more: Any) -> Any:
        """As :meth:`call`, for what must succeed; gives ``data``."""
        response = await self.call(caller, method, path, **more)
        assert response.status_code < 300, (method, path, response.status_code, response.text)
        return response.json().get("data") if response.content else None


Word = Callable[[str], str]
"""Makes the text that is put into a place: the place's name comes in."""


def plain(what: str) -> str:
    return f"sample-{what}"


async def new_tenant(platform: Platform, persona: str, word: Word = plain) -> Tenant:
    """A tenant that has been through everything once; every text that it could choose is by ``word``."""
    partner = await platform.partner(SCENARIO, kind="bike-share")
    tenant = Tenant(platform, persona, partner, await _source(platform, persona))
    identifier = next(each.identifier for each in personas.personas() if each.id == persona).value
    day = (platform.clock.now() - timedelta(days=3)).date().isoformat()
    months = {"months": 12, "as_of": day}
    honour = {"title": word("title"), "level": "municipal", "date": day}
    rows = [
        _row(identifier, "SOCINS_PAID", day, word("source-ref"), months),
        _row(identifier, "HONOUR", day, word("honour-ref"), honour),
        {**_row(identifier, "SOCINS_PAID", day, word("rejected-ref"), months), "region": "1"},
    ]
    batch = await tenant.made(
        "records",
        "POST",
        "/v1/record-batches",
        content=b"".join(msgspec.json.encode(row) + b"\n" for row in rows),
        headers={"content-type": NDJSON, "idempotency-key": word("import-key")},
    )
    pushed = (await partner.par(SCENARIO, state=word("state"))).json()["request_uri"]
    tenant.request_uri = pushed
    tenant.code = await tenant.browser.agree(partner, pushed, persona)
    tenant.bound = (await partner.redeem(tenant.code)).json()
    tenant.csrf = (await tenant.made("session", "GET", "/v1/me/session"))["csrf"]
    consent_id = tenant.bound["authorization_details"][0]["consent_id"]
    question = {"scenario": SCENARIO, "consent_id": consent_id, "reference": word("reference")}
    check = await tenant.made(
        "checks", "POST", "/v1/checks", json=question, headers={"idempotency-key": word("check-key")}
    )
    told = {"result": "granted", "benefit_band": "up_to_500"}
    await tenant.made("checks", "POST", f"/v1/checks/{check['id']}/feedback", json=told)
    checks = await tenant.made(
        "checks",
        "POST",
        "/v1/check-batches",
        json={"items": [question]},
        headers={"idempotency-key": word("batch-key")},
    )
    asked = await tenant.made(
        "consents", "POST", "/v1/consents", json={"scenario": SCENARIO, "subject": {"identifier": identifier}}
    )
    records = {
        record["record_type"]["id"]: record["id"] for record in await tenant.made("session", "GET", "/v1/me/records")
    }
    subscription = await tenant.made(
        "partner",
        "POST",
        "/v1/event-subscriptions",
        json={"url": f"https://partner.example/{word('hook')}", "description": word("description")},
    )
    tenant.webhook_secret = subscription["secret"]
    key = ECKey.generate_key("P-256").as_dict(private=False)
    added = await tenant.made("partner", "POST", "/v1/partner/keys", json={**key, "kid": word("kid")})
    dispute = await tenant.made(
        "session", "POST", "/v1/me/disputes", json={"record_id": records["SOCINS_PAID"], "statement": word("statement")}
    )
    async with platform.service("database").transaction() as tx:
        branch = Text("示例支行", "Sample Branch")
        sub_party = await platform.service("partners").add_sub_party(
            tx, partner.client.partner_id, branch, "x@y.example"
        )
    await Relay(platform.service("database"), platform.clock).run()
    events = await tenant.made("consents", "GET", "/v1/events")
    tenant.things = {
        "record_batch": batch["id"],
        "consent": consent_id,
        "asked_consent": asked["id"],
        "check": check["id"],
        "check_batch": checks["id"],
        "record": records["HONOUR"],
        "subscription": subscription["id"],
        "key": added["id"],
        "dispute": dispute["id"],
        "event": events[0]["id"],
        "sub_party": sub_party.id,
    }
    return tenant


async def _source(platform: Platform, name: str) -> PartnerProgram:
    key = ECKey.generate_key("P-256")
    jwks = {"keys": [{**key.as_dict(private=False), "kid": "k1"}]}
    async with platform.service("database").transaction() as tx:
        _, client = await platform.service("partners").add_source(
            tx, f"source-of-{name}", Text("示例来源", "Sample Source"), ["SOCINS_PAID", "HONOUR"], jwks
        )
    return PartnerProgram(
        platform.http, platform.clock, client, key, issuer=str(platform.http.base_url).removesuffix("/")
    )


def _row(identifier: str, record_type: str, day: str, ref: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "subject": identifier,
        "record_type": record_type,
        "source_ref": ref,
        "region": "990001",
        "observed_at": day,
        "fields": fields,
    }
