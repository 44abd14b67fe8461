"""What wraps every exchange: an interaction id, the security headers, and the refusal of what nobody may send.

It stands around the router, so that what the router itself refuses (404, 405) is answered like everything else.
"""

import re
import time
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID, uuid4

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from ..kernel.errors import Code, XinyiError
from ..telemetry.service import Telemetry
from .problem import respond

INTERACTION_ID: Final = "x-fapi-interaction-id"
_INTERACTION_ID: Final = INTERACTION_ID.encode()
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_PATH_BYTES: Final = 1024

API_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class ExchangeMiddleware:
    """Puts ``interaction_id`` into the scope's state, echoes it, and adds the headers that a response doesn't set.

    HEAD is answered as GET (RFC 9110 §9.3.2), whose body the server leaves out; ``state["method"]`` keeps the method
    that was sent, for whoever checks a signature over it.
    """

    def __init__(self, app: ASGIApp, *, secure: bool, telemetry: Telemetry | None = None) -> None:
        self._app = app
        self._telemetry = telemetry or Telemetry()
        headers = dict(API_HEADERS)
        if secure:
            headers["strict-transport-security"] = "max-age=31536000; includeSubDomains"
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        method = scope["method"]
        interaction_id = _interaction_id(scope["headers"])
        scope["state"].update(interaction_id=interaction_id, method=method)
        if method == "HEAD":
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = list(message["headers"])
                set_ = {name for name, _ in given}
                given.append((_INTERACTION_ID, interaction_id.encode()))
                given += [header for header in self._headers if header[0] not in set_]
                if (rate := scope["state"].get("rate")) is not None:
                    given += rate.headers()
                if (nonce := scope["state"].get("dpop_nonce")) is not None:
                    given.append((b"dpop-nonce", nonce.encode()))
                message["headers"] = given
            await send(message)

        error = _refusal(scope)
        try:
            if error is None:
                await self._app(scope, receive, send_with_headers)
            else:
                request = Request[Any, Any, Any](scope)
                response = respond(request, error).to_asgi_response(None, request)
                await response(scope, receive, send_with_headers)
        finally:
            self._telemetry.answered(scope, status, time.perf_counter() - began)


def _refusal(scope: HTTPScope) -> XinyiError | None:
    """What is wrong with a request whatever it asks for.

    NUL can't be stored in PostgreSQL's text, and the router remembers paths: neither may get further.
    """
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        return XinyiError(Code.HEADERS_TOO_LARGE, f"the headers are longer than {MAX_HEADER_BYTES} bytes")
    if len(scope["path"].encode("utf-8", "replace")) > MAX_PATH_BYTES or _CONTROL.search(scope["path"]):
        return XinyiError(Code.NOT_FOUND)
    if b"%00" in scope["query_string"]:
        return XinyiError(Code.MALFORMED, "the query has a NUL")
    return None


def _interaction_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's UUID when it sent one (FAPI 2.0 HTTP headers), else a new one."""
    for name, value in headers:
        if name == _INTERACTION_ID:
            try:
                return str(UUID(value.decode("ascii")))
            except ValueError:
                break
    return str(uuid4())
