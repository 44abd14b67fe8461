"""An OpenID Connect provider that says of people whatever a test wants: in one process, on the test's own clock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from secrets import token_urlsafe
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from joserfc.jwk import ECKey

from tests.support.oauth import ISSUER, AnyKey, signed
from tests.support.server import running_server

CLIENT_ID: Final = "credit"
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


class Provider:
    """Signs whoever it is told to in, and tells when they are signed out. Careless: a code of its works twice."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.key = ECKey.generate_key("P-256")
        self._tokens: dict[str, str] = {}

    def answer(self, sent_to: str, at: datetime, claims: Mapping[str, Any]) -> str:
        """The path and query that the browser is sent back to, when it came to ``sent_to`` and signed in."""
        asked = {name: value for name, [value] in parse_qs(urlsplit(sent_to).query).items()}
        code = token_urlsafe(16)
        self._tokens[code] = self.signed("JWT", at, {"nonce": asked["nonce"], **claims})
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri'].removeprefix(ISSUER)}?{urlencode(back)}"

    def logout_token(self, at: datetime, *, typ: str = "logout+jwt", key: AnyKey | None = None, **claims: Any) -> str:
        """A logout token, with changes; members that are ``ABSENT`` are left out."""
        return self.signed(typ, at, {"jti": token_urlsafe(16), "events": {EVENT: {}}, **claims}, key)

    def signed(self, typ: str, at: datetime, claims: Mapping[str, Any], key: AnyKey | None = None) -> str:
        now = int(at.timestamp())
        usual = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 120}
        return signed({"alg": "ES256", "kid": "op-1", "typ": typ}, {**usual, **claims}, key or self.key)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for done in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{done}.complete"})
            return
        body = msgspec.json.encode(self._answers(scope["path"], (await receive()).get("body", b"").decode()))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answers(self, path: str, form: str) -> Mapping[str, Any]:
        match path:
            case "/jwks":
                return {"keys": [{**self.key.as_dict(private=False), "kid": "op-1", "alg": "ES256", "use": "sig"}]}
            case "/token":
                code = parse_qs(form)["code"][0]
                return {"access_token": "unused", "token_type": "Bearer", "id_token": self._tokens[code]}
            case _:
                return {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/jwks",
                    "authorization_response_iss_parameter_supported": True,
                }


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a free port of the loopback."""
    with running_server(Provider) as server:
        yield server.app
