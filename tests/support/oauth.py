"""The OAuth protocol spoken by hand, so that a test can bend any part of it."""

import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from litestar import Litestar
from msgspec import Struct

from tests.support.clock import ManualClock
from tests.support.pairs import Pair
from xinyi.app import create_app
from xinyi.kernel.canonical import b64url
from xinyi.kernel.clock import Clock
from xinyi.kernel.text import Text
from xinyi.partners.model import Client
from xinyi.telemetry.service import Telemetry

ISSUER = "http://127.0.0.1:8000"
REDIRECT_URI = "https://partner.example/back"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
VERIFIER = "a-verifier-that-is-long-enough-for-anyone-0123456789"
CHALLENGE = b64url(hashlib.sha256(VERIFIER.encode()).digest())

AnyKey = ECKey | OKPKey | RSAKey | OctKey


class Absent:
    """Stands for a member that is left out."""

    def __repr__(self) -> str:  # names tests, in every process alike
        return "absent"


ABSENT = Absent()


def signed(header: Mapping[str, Any], claims: Mapping[str, Any] | bytes, key: AnyKey) -> str:
    """A compact JWS with exactly these members, whatever they are; those that are ``ABSENT`` are left out."""
    payload = claims if isinstance(claims, bytes) else msgspec.json.encode(_kept(claims))
    return signed_bytes(msgspec.json.encode(_kept(header)), payload, key, header["alg"])


def signed_bytes(header: bytes, payload: bytes, key: AnyKey, alg: str = "ES256") -> str:
    """A compact JWS of these very bytes."""
    content = f"{b64url(header)}.{b64url(payload)}"
    return f"{content}.{b64url(JWSRegistry.algorithms[alg].sign(content.encode(), key))}"


def unsigned(claims: Mapping[str, Any], **header: Any) -> str:
    """A JWS with ``alg: none``."""
    parts = (msgspec.json.encode({"alg": "none", **header}), msgspec.json.encode(_kept(claims)))
    return ".".join(map(b64url, parts)) + "."


def _kept(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ABSENT}


class PartnerProgram:
    """One registered client with its keys."""

    def __init__(
        self, http: httpx.AsyncClient, clock: Clock, client: Client, key: ECKey, *, issuer: str = ISSUER
    ) -> None:
        self.http = http
        self.issuer = issuer
        self.clock = clock
        self.client = client
        self.key = key
        self.dpop_key = ECKey.generate_key("P-256")

    @property
    def id(self) -> str:
        return self.client.id

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    def claims(self, **claims: Any) -> dict[str, Any]:
        """The claims of a client assertion, with changes."""
        return {
            "iss": self.id,
            "sub": self.id,
            "aud": self.issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": int(self.now),
            "exp": int(self.now) + 60,
            **claims,
        }

    def assertion(self, *, key: AnyKey | None = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A client assertion, with changes."""
        return signed({"alg": "ES256", "kid": "k1", **(header or {})}, self.claims(**claims), key or self.key)

    def proof(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        key: AnyKey | None = None,
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A DPoP proof, with changes."""
        key = key or self.dpop_key
        return signed(
            {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False), **(header or {})},
            {
                "jti": secrets.token_urlsafe(16),
                "htm": method,
                "htu": self.issuer + path,
                "iat": int(self.now),
                "ath": ABSENT if token is None else b64url(hashlib.sha256(token.encode()).digest()),
                **claims,
            },
            key,
        )

    async def post(
        self, path: str, form: Mapping[str, Any], *, proof: str | Absent | None = None, assertion: str | None = None
    ) -> httpx.Response:
        """An authenticated form, with a proof unless it is ``ABSENT``. Members that are ``ABSENT`` are left out."""
        return await self.http.post(path, **self.form(path, form, proof=proof, assertion=assertion))

    def form(
        self, path: str, form: Mapping[str, Any], *, proof: str | Absent | None = None, assertion: str | None = None
    ) -> dict[str, Any]:
        """What :meth:`post` sends."""
        authentication = {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
        }
        headers = {} if isinstance(proof, Absent) else {"dpop": proof or self.proof("POST", path)}
        return {"data": _kept({**authentication, **form}), "headers": headers}

    async def par(
        self, scenario: str, *, proof: str | Absent | None = None, assertion: str | None = None, **form: Any
    ) -> httpx.Response:
        """A pushed authorization request, with changes."""
        members = {
            "client_id": self.id,
            "response_type": "code",
            "redirect_uri": REDIRECT_URI,
            "state": "the-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "authorization_details": details(scenario),
            **form,
        }
        return await self.post("/oauth2/par", members, proof=proof, assertion=assertion)

    async def redeem(
        self, code: str, *, proof: str | Absent | None = None, assertion: str | None = None, **form: Any
    ) -> httpx.Response:
        """The token request for a code, with changes."""
        members = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            **form,
        }
        return await self.post("/oauth2/token", members, proof=proof, assertion=assertion)

    async def credentials(
        self, *, proof: str | Absent | None = None, assertion: str | None = None, **form: Any
    ) -> httpx.Response:
        """The token request by the client itself, with changes."""
        members = {"grant_type": "client_credentials", **form}
        return await self.post("/oauth2/token", members, proof=proof, assertion=assertion)

    async def token(self) -> str:
        """A token of the client itself."""
        response = await self.credentials()
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    async def call(
        self, method: str, path: str, token: str, *, proof: str | None = None, scheme: str = "DPoP", **more: Any
    ) -> httpx.Response:
        """A call of the API."""
        headers = {
            "authorization": f"{scheme} {token}",
            "dpop": proof or self.proof(method, path, token=token),
            **more.pop("headers", {}),
        }
        return await self.http.request(method, path, headers=headers, **more)


def details(scenario: str, **members: Any) -> str:
    """``authorization_details`` with one detail."""
    return msgspec.json.encode([{"type": "credit_scenario_check", "scenario": scenario, **members}]).decode()


class Form(Struct):
    """A form of a page: its action, its hidden fields, and the values of its buttons by name."""

    action: str
    fields: dict[str, str]
    buttons: dict[str, list[str]]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(found["action"], {}, {}))
        elif tag == "input" and found.get("type") == "hidden":
            self.forms[-1].fields[found["name"]] = found["value"]
        elif tag == "button" and "name" in found and "form" not in found:  # one that names its form stands elsewhere
            self.forms[-1].buttons.setdefault(found["name"], []).append(found["value"])


def forms(page: httpx.Response) -> list[Form]:
    """The forms of a page, in order."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.forms


def browser_of(app: Any, origin: str = ISSUER) -> httpx.AsyncClient:
    """An HTTP client with cookies of its own that reaches the application without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=origin)


class Subject:
    """A person at a browser: cookies of their own, and forms filled in as the pages give them."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def open(self, partner: PartnerProgram, request_uri: str) -> httpx.Response:
        """Follows the partner's link."""
        return await self.http.get("/oauth2/authorize", params={"client_id": partner.id, "request_uri": request_uri})

    async def sign_in(self, page: httpx.Response, persona: str) -> httpx.Response:
        """Chooses a persona on the sign-in page, and goes on to where that leads."""
        form = forms(page)[0]
        return await self.follow(await self.submit(form, persona=persona))

    async def decide(self, page: httpx.Response, decision: str) -> httpx.Response:
        """Agrees to or refuses what the consent page asks."""
        return await self.submit(forms(page)[-1], decision=decision)

    async def follow(self, response: httpx.Response) -> httpx.Response:
        """Goes where a form led, within the platform."""
        assert response.status_code == 303, response.text
        return await self.http.get(response.headers["location"])

    async def submit(self, form: Form, **fields: Any) -> httpx.Response:
        """Posts a form as a page gave it, with changes."""
        return await self.http.post(form.action, data=_kept({**form.fields, **fields}))

    async def agree(self, partner: PartnerProgram, request_uri: str, persona: str) -> str:
        """The whole way from the partner's link to the code."""
        consent = await self.sign_in(await self.open(partner, request_uri), persona)
        return answer(await self.decide(consent, "agree"))["code"]


def answer(response: httpx.Response) -> dict[str, str]:
    """The parameters that a redirect takes back to the partner."""
    assert response.status_code == 303, response.text
    assert response.headers["location"].startswith(REDIRECT_URI + "?")
    found = parse_qs(urlsplit(response.headers["location"]).query, strict_parsing=True)
    return {name: value for name, (value,) in found.items()}


def without_numbers(response: httpx.Response) -> tuple[Any, ...]:
    """All of a response but its own number, to tell whether two are the same."""
    headers = {name: value for name, value in response.headers.items() if name != "x-fapi-interaction-id"}
    return response.status_code, headers, response.content


class Platform:
    """The whole application on a manual clock, and whom it serves."""

    def __init__(self, app: Litestar, clock: ManualClock, remembered: Callable[[Any], str] = repr) -> None:
        self.app = app
        self._remembered = remembered
        self.clock = clock
        self.http = browser_of(app)

    def service(self, name: str) -> Any:
        """One of the application's services."""
        return self.app.dependencies[name].dependency()  # type: ignore[union-attr]

    async def partner(self, *scenarios: str, kind: str = "bank", **more: Any) -> PartnerProgram:
        """A client of a new partner."""
        key = ECKey.generate_key("P-256")
        partners = self.service("partners")
        async with self.service("database").transaction() as tx:
            partner = await partners.add_partner(
                tx, Text("示例机构", "Sample Partner"), kind, "privacy@partner.example"
            )
            client = await partners.add_client(
                tx,
                partner.id,
                "test",
                {"keys": [{**key.as_dict(private=False), "kid": "k1"}]},
                **{"redirect_uris": [REDIRECT_URI], "scenarios": dict.fromkeys(scenarios), **more},
            )
        return PartnerProgram(self.http, self.clock, client, key)

    async def source(self) -> PartnerProgram:
        """The client of a source of records."""
        key = ECKey.generate_key("P-256")
        async with self.service("database").transaction() as tx:
            _, client = await self.service("partners").add_source(
                tx,
                f"source-{secrets.token_hex(4)}",
                Text("示例来源", "Sample Source"),
                ["TAX_RATING"],
                {"keys": [{**key.as_dict(private=False), "kid": "k1"}]},
            )
        return PartnerProgram(self.http, self.clock, client, key)

    def remembered(self) -> str:
        """All that lies in the short-lived state."""
        return self._remembered(self.service("cache"))

    def subject(self) -> Subject:
        """A browser that nobody has used yet."""
        return Subject(browser_of(self.app))


@asynccontextmanager
async def running_platform(
    folder: Path, pair: Pair, clock: ManualClock | None = None, *, telemetry: Telemetry | None = None, **settings: Any
) -> AsyncGenerator[Platform]:
    """A sandbox in ``folder``: fresh, or as an earlier one left it there."""
    clock = clock or ManualClock()
    app = create_app(pair.settings(folder, issuer=ISSUER, **settings), clock, telemetry)
    clock.followers.append(lambda by: pair.time_passes(folder, by))
    async with app.lifespan():
        yield Platform(app, clock, lambda cache: pair.remembered(folder, cache))
