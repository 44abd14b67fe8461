"""``create_app``: the HTTP application over the services."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware

from .checks.http import CheckController
from .consents.http import ConsentController
from .health import live, ready
from .kernel.clock import Clock
from .kernel.errors import XinyiError
from .oauth.http import OAuthController
from .oauth.middleware import AuthMiddleware
from .oauth.pages import AuthorizeController, SandboxSignInController, SignInController
from .openapi import openapi_config
from .portal.http import MeController
from .portal.pages import PortalPages
from .settings import Settings
from .web.body import StrictRequest
from .web.middleware import ExchangeMiddleware
from .web.pages import asset
from .web.principal import provide_principal
from .web.problem import on_any_exception, on_http_exception, on_xinyi_error
from .wiring import Services


def create_app(settings: Settings, clock: Clock | None = None) -> Litestar:
    """The application of one installation.

    ``clock`` tells the time to everything; no setting can move it. Raises as :meth:`Services.build`.
    """
    services = Services.build(settings, clock)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with services.running():
            yield

    return Litestar(
        route_handlers=[
            CheckController,
            ConsentController,
            MeController,
            PortalPages,
            asset,
            live,
            ready,
            OAuthController,
            AuthorizeController,
            SandboxSignInController if settings.is_sandbox else SignInController,
        ],
        dependencies={
            "principal": Provide(provide_principal, sync_to_thread=False),
            **{name: _provide(getattr(services, name)) for name in Services.__struct_fields__},
        },
        exception_handlers={
            XinyiError: on_xinyi_error,
            HTTPException: on_http_exception,
            Exception: on_any_exception,
        },
        middleware=[
            DefineMiddleware(ExchangeMiddleware, secure=settings.issuer.startswith("https:")),
            DefineMiddleware(AuthMiddleware, oauth=services.oauth),
        ],
        request_class=StrictRequest,
        request_max_body_size=settings.body_limit,
        lifespan=[lifespan],
        openapi_config=openapi_config(),
    )


def _provide(service: Any) -> Provide:
    return Provide(lambda: service, sync_to_thread=False, use_cache=True)
