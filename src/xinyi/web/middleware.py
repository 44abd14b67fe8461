"""What wraps every exchange: an interaction id, the security headers, and limits on headers and bodies."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID, uuid4

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

INTERACTION_ID: Final = "x-fapi-interaction-id"

API_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class ExchangeMiddleware:
    """Puts ``interaction_id`` into the scope's state, echoes it, and adds the headers that a response doesn't set."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = dict(API_HEADERS)
        if secure:
            self._headers["strict-transport-security"] = "max-age=31536000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        interaction_id = _interaction_id(scope["headers"])
        scope.setdefault("state", {})["interaction_id"] = interaction_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                headers[INTERACTION_ID] = interaction_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _interaction_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's UUID when it sent one (FAPI 2.0 §5.3.3 of the HTTP headers), else a new one."""
    wanted = INTERACTION_ID.encode()
    for name, value in headers:
        if name == wanted:
            try:
                return str(UUID(value.decode("ascii")))
            except ValueError:
                break
    return str(uuid4())
