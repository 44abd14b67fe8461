"""What the conformance suite is to a server: two clients, a subject at a browser, and an eye on every answer."""

import re
from typing import Any, Final

import httpx

from tests.security.fapi2.plan import Plan
from tests.support.oauth import (
    REDIRECT_URI,
    VERIFIER,
    Absent,
    PartnerProgram,
    Platform,
    Subject,
    answer,
    browser_of,
)

ISSUER: Final = "https://credit.example"
SCENARIO: Final = "power-bank-deposit"
"""Its consents are recurring, so that there are refresh tokens."""
PERSONA: Final = "person-a"
DUMMIES: Final = {"dummy1": "lorem", "dummy2": "ipsum"}
"""What the second client's redirect URI has in its query."""
SECOND_REDIRECT_URI: Final = f"{REDIRECT_URI}?dummy1=lorem&dummy2=ipsum"

_OPAQUE: Final = re.compile(r"[\x20-\x7e]{22,}")
_SPEAKABLE: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")


class Server(Platform):
    """A sandbox behind https, as the plan wants it."""

    def __init__(self, app: Any, clock: Any) -> None:
        super().__init__(app, clock)
        self.http = browser_of(app, ISSUER)

    async def client(self, redirect_uri: str = REDIRECT_URI) -> "TestClient":
        """A client of a partner of its own."""
        program = await self.partner(SCENARIO, kind="power-bank", redirect_uris=[redirect_uri])
        return TestClient(self, program, redirect_uri)

    def subject(self) -> Subject:
        return Subject(browser_of(self.app, ISSUER))


class TestClient(PartnerProgram):
    """One of the plan's two clients."""

    __test__ = False

    def __init__(self, server: Server, program: PartnerProgram, redirect_uri: str) -> None:
        super().__init__(server.http, server.clock, program.client, program.key, issuer=ISSUER)
        self.server = server
        self.redirect_uri = redirect_uri
        self.subject = server.subject()

    async def push(
        self, *, proof: str | Absent | None = None, assertion: str | None = None, **form: Any
    ) -> httpx.Response:
        """A pushed authorization request, with changes."""
        members = {"redirect_uri": self.redirect_uri, **form}
        return await self.par(SCENARIO, proof=proof, assertion=assertion, **members)

    async def pushed(self, **more: Any) -> str:
        """The request_uri of a request that was taken."""
        response = await self.push(**more)
        assert response.status_code == 201, response.text
        assert response.headers["content-type"].startswith("application/json")
        body = response.json()
        assert body.keys() == {"request_uri", "expires_in"}
        assert 5 <= body["expires_in"] < 600
        return str(body["request_uri"])

    async def visit(self, request_uri: str, **query: str) -> httpx.Response:
        """The authorization endpoint, as the browser is sent there."""
        return await self.subject.http.get(
            "/oauth2/authorize", params={"client_id": self.id, "request_uri": request_uri, **query}
        )

    async def agree(self, page: httpx.Response) -> dict[str, str]:
        """Signs in and agrees: what the browser brings back."""
        if page.status_code == 200 and "persona" in page.text:
            page = await self.subject.sign_in(page, PERSONA)
        return self.came_back(await self.subject.decide(page, "agree"))

    def came_back(self, response: httpx.Response) -> dict[str, str]:
        """The parameters of the callback, which names who answers (RFC 9207) and keeps the redirect URI's own."""
        assert response.status_code == 303
        found = answer(response)
        assert found.pop("iss") == ISSUER
        for name, value in DUMMIES.items() if self.redirect_uri == SECOND_REDIRECT_URI else ():
            assert found.pop(name) == value
        return found

    async def code(self, **form: Any) -> str:
        """A code, by the whole way."""
        found = await self.agree(await self.visit(await self.pushed(**form)))
        assert _OPAQUE.fullmatch(found["code"])
        assert found.keys() <= {"code", "state"}
        return found["code"]

    async def token_form(self, plan: Plan) -> dict[str, Any]:
        """The parameters of a token request of the plan, but for the authentication."""
        if plan is Plan.CREDENTIALS:
            return {"grant_type": "client_credentials", "client_id": self.id}
        return self.code_form(await self.code())

    def code_form(self, code: str, **form: Any) -> dict[str, Any]:
        """The parameters of the token request for a code, with changes."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
            "client_id": self.id,
            **form,
        }

    async def ask(
        self, form: dict[str, Any], *, proof: str | Absent | None = None, assertion: str | None = None
    ) -> httpx.Response:
        """A token request."""
        return await self.post("/oauth2/token", form, proof=proof, assertion=assertion)

    async def tokens(self, plan: Plan) -> dict[str, Any]:
        """The answer to a token request of the plan."""
        return given(await self.ask(await self.token_form(plan)))

    async def read(self, body: dict[str, Any], *, query: str = "", **more: Any) -> httpx.Response:
        """The protected resource, with the token of ``body``, and changes as ``call`` takes them."""
        return await self.call("GET", resource(body) + query, body["access_token"], **more)


def resource(body: dict[str, Any]) -> str:
    """The path of what the token of ``body`` may read: the consent that it is bound to, or the client's own."""
    details = body.get("authorization_details")
    return f"/v1/consents/{details[0]['consent_id']}" if details else "/v1/consents"


def given(response: httpx.Response) -> dict[str, Any]:
    """A token response that is as it should be (RFC 6749 §5.1, RFC 9449 §5)."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/json")
    assert "no-store" in response.headers["cache-control"]
    body: dict[str, Any] = response.json()
    assert body["token_type"] == "DPoP"
    assert _OPAQUE.fullmatch(body["access_token"])
    assert isinstance(body["expires_in"], int)
    assert "id_token" not in body
    if "refresh_token" in body:
        assert _OPAQUE.fullmatch(body["refresh_token"])
    return body


def refused(response: httpx.Response, *codes: str) -> str:
    """The code of an error that is as it should be (RFC 6749 §5.2)."""
    assert response.status_code == 400, response.text
    assert response.headers["content-type"].startswith("application/json")
    assert "no-store" in response.headers["cache-control"]
    body = response.json()
    assert body.keys() == {"error", "error_description"}
    assert _SPEAKABLE.fullmatch(body["error_description"])
    assert body["error"] in codes, body
    return str(body["error"])


def shown_as_error(response: httpx.Response) -> None:
    """A page that tells what is wrong and leads nowhere."""
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/html")
    assert "location" not in response.headers
    assert "http-equiv" not in response.text
