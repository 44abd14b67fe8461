"""Hot endpoints, called past the framework's own resolution of parameters, which costs more than all that they do.

What such an endpoint takes still stands in its signature alone, and the document and the errors are made of it.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.types import ASGIApp, Receive, Scope, Send

_REQUEST: Final = "request"
_BODY: Final = "data"
_JSON: Final = (b"content-type", b"application/json")


class Direct:
    """For a handler's ``middleware``: calls the handler itself, and sends what it returns as JSON.

    The handler may take the request, the body as ``data``, headers, and services; it returns what is encoded, or a
    ``Response`` whose content, when it is bytes, is sent as it is. Guards hold as everywhere. Response headers, cookies
    and hooks of the framework are none of its business.
    """

    def __init__(self, app: ASGIApp) -> None:  # ``app`` is the framework's way to the handler
        self._handler: HTTPRouteHandler | None = None
        self._headers: dict[str, str] = {}
        self._services: dict[str, Any] = {}
        self._takes_body = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._prepared(scope)
        request = handler.resolve_request_class()(scope, receive, send)
        for guard in handler.resolve_guards():
            await cast("Callable[..., Any]", guard)(request, handler)
        result = await handler.fn(**await self._arguments(handler, request))
        status, content = handler.status_code, result
        if isinstance(result, Response):
            status, content = result.status_code or status, result.content
        body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [_JSON, length]})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _arguments(self, handler: HTTPRouteHandler, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """The handler's arguments, checked as its signature has them."""
        given = {_REQUEST: request, **self._services}
        for name, header in self._headers.items():
            given[name] = request.headers.get(header)
        if self._takes_body:
            given[_BODY] = await request.json()
        return handler.signature_model.parse_values_from_connection_kwargs(connection=request, kwargs=given)

    def _prepared(self, scope: Scope) -> HTTPRouteHandler:
        """The handler, whose signature is read at its first call."""
        if self._handler is not None:
            return self._handler
        handler = cast("HTTPRouteHandler", scope["route_handler"])
        provided = handler.resolve_dependencies()
        for name, field in handler.parsed_fn_signature.parameters.items():
            known = field.kwarg_definition
            if name == _BODY:
                self._takes_body = True
            elif name in provided and provided[name].use_cache:
                self._services[name] = provided[name].dependency()
            elif isinstance(known, ParameterKwarg) and known.param_type is ParamType.HEADER and known.name:
                self._headers[name] = known.name
            elif name != _REQUEST:
                raise ImproperlyConfiguredException(f"an endpoint that is called directly can't take {name!r}")
        self._handler = handler
        return handler
