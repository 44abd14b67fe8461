"""A few controllers over a world's services, called as whoever a test says."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from tests.support.world import World
from xinyi.kernel.errors import XinyiError
from xinyi.web.body import StrictRequest
from xinyi.web.middleware import INTERACTION_ID, ExchangeMiddleware
from xinyi.web.principal import Principal, provide_principal
from xinyi.web.problem import on_any_exception, on_http_exception, on_xinyi_error
from xinyi.wiring import Services

ORIGIN = "http://127.0.0.1:8000"
ONE = "6ba7b814-9dad-41d1-80b4-00c04fd430c8"
"""Every request is the same interaction, so that equal problems have equal bytes."""


@asynccontextmanager
async def calling(
    world: World, handlers: Sequence[ControllerRouterHandler], principal: Principal | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an application that has these handlers alone."""
    services = {name: getattr(world.services, name) for name in Services.__struct_fields__}
    app: Any = Litestar(
        route_handlers=handlers,
        dependencies={
            "principal": Provide(provide_principal, sync_to_thread=False),
            **{name: _provide(service) for name, service in services.items()},
        },
        exception_handlers={
            XinyiError: on_xinyi_error,
            HTTPException: on_http_exception,
            Exception: on_any_exception,
        },
        request_class=StrictRequest,
        state=State({"sessions": world.services.sessions}),
        openapi_config=None,
        logging_config=None,
    )

    handle = app.asgi_handler

    async def as_principal(scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = principal
        await handle(scope, receive, send)

    app.asgi_handler = ExchangeMiddleware(as_principal, secure=False)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={INTERACTION_ID: ONE}) as client:
        yield client


def _provide(service: Any) -> Provide:
    return Provide(lambda: service, sync_to_thread=False)
