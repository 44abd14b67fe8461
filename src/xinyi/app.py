"""``create_app``: the HTTP application over the services."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware

from .batches.http import CheckBatchController
from .catalogue.http import list_record_types
from .checks.http import CheckController
from .consents.http import ConsentAskController, ConsentController
from .consents.pages import ConsentPages
from .events.http import EventController, EventSubscriptionController
from .feedback.http import FeedbackController
from .health import live, ready
from .kernel.clock import Clock
from .kernel.errors import XinyiError
from .ledger.http import LedgerController
from .oauth.http import OAuthController
from .oauth.metadata import PROTECTED_RESOURCE
from .oauth.middleware import AuthMiddleware
from .oauth.pages import UPSTREAM_SIGN_IN, AuthorizeController, SandboxSignInController
from .openapi.document import Document, document
from .openapi.pages import reference
from .partners.http import PartnerController
from .portal.http import MeController
from .portal.http_previews import MyPreviewController
from .portal.http_records import MyRecordController
from .portal.pages import PortalPages
from .records.http import DisputeController, RecordBatchController, RecordController
from .scenarios.http import ScenarioController, list_behaviours, list_outcomes
from .settings import Settings
from .telemetry.service import Telemetry
from .telemetry.traces import TracingMiddleware
from .usage.http import UsageController
from .web.body import StrictRequest
from .web.metadata import MetadataController
from .web.middleware import ExchangeMiddleware
from .web.pages import asset
from .web.principal import provide_principal
from .web.problem import on_any_exception, on_http_exception, on_xinyi_error
from .wiring import Services

API: Final = (
    CheckBatchController,
    CheckController,
    ConsentAskController,
    ConsentController,
    EventController,
    EventSubscriptionController,
    FeedbackController,
    DisputeController,
    LedgerController,
    MeController,
    MetadataController,
    MyPreviewController,
    MyRecordController,
    OAuthController,
    PartnerController,
    RecordBatchController,
    RecordController,
    ScenarioController,
    UsageController,
    list_behaviours,
    list_outcomes,
    list_record_types,
    live,
    ready,
)
"""What the OpenAPI document describes."""
PAGES: Final = (AuthorizeController, ConsentPages, PortalPages, asset)


def api_document() -> Document:
    """The OpenAPI document of this application."""
    return document(API, ["principal", *Services.__struct_fields__])


def create_app(settings: Settings, clock: Clock | None = None, telemetry: Telemetry | None = None) -> Litestar:
    """The application of one installation.

    ``clock`` tells the time to everything; no setting can move it. ``telemetry`` takes the place of what the settings
    ask for. Raises as :meth:`Services.build`, and ``TracesMissing``.
    """
    telemetry = telemetry or Telemetry.of(settings)
    services = Services.build(settings, clock, telemetry)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        with telemetry.served(settings):
            async with services.running():
                yield
        telemetry.close()

    app = Litestar(
        route_handlers=[
            *API,
            *PAGES,
            *((SandboxSignInController,) if settings.sign_in is None else UPSTREAM_SIGN_IN),
            reference(api_document, settings.issuer),
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
            DefineMiddleware(AuthMiddleware, oauth=services.oauth),
        ],
        request_class=StrictRequest,
        request_max_body_size=settings.body_limit,
        lifespan=[lifespan],
        # Guards and exception handlers have no dependencies.
        state=State({"sessions": services.sessions, "resource_metadata": settings.issuer + PROTECTED_RESOURCE}),
        openapi_config=None,
        logging_config=None,  # telemetry.logs alone decides what is written
    )
    handler = app.asgi_handler if telemetry.traces is None else TracingMiddleware(app.asgi_handler, telemetry.traces)
    app.asgi_handler = ExchangeMiddleware(handler, secure=settings.issuer.startswith("https:"), telemetry=telemetry)
    return app


def _provide(service: Any) -> Provide:
    return Provide(lambda: service, sync_to_thread=False, use_cache=True)
