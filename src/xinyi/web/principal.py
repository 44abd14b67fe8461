"""Who calls. The authorization server's middleware fills it; every room reads it."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from ..kernel.errors import Code, XinyiError


class Scope(StrEnum):
    """What a token may be used for (RFC 6749 §3.3)."""

    CHECKS = "checks"
    CONSENTS = "consents"
    RECORDS = "records"
    PARTNER = "partner"


class Principal(Struct, frozen=True):
    """One authenticated client, as its access token and proof show it.

    ``partner_id`` or ``source_id`` is set, never both. ``consent_id`` is set when the token came from a subject's
    consent: it is then bound to that one consent and can name no other. ``jkt`` is the thumbprint of the DPoP key.
    """

    client_id: str
    scopes: frozenset[Scope]
    jkt: str
    partner_id: str | None = None
    source_id: str | None = None
    consent_id: str | None = None

    @property
    def partner(self) -> str:
        """The partner's id. Raises ``XinyiError(INSUFFICIENT_SCOPE)`` when a source calls what is for partners."""
        if self.partner_id is None:
            raise XinyiError(Code.INSUFFICIENT_SCOPE, "this is for partners")
        return self.partner_id

    @property
    def source(self) -> str:
        """The source's id. Raises ``XinyiError(INSUFFICIENT_SCOPE)`` when a partner calls what is for sources."""
        if self.source_id is None:
            raise XinyiError(Code.INSUFFICIENT_SCOPE, "this is for sources of records")
        return self.source_id


Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def requires(scope: Scope) -> Guard:
    """A guard: the caller has an access token with this scope."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        principal = connection.scope.get("user")
        if not isinstance(principal, Principal):
            raise XinyiError(Code.UNAUTHENTICATED)
        if scope not in principal.scopes:
            raise XinyiError(Code.INSUFFICIENT_SCOPE, f"the scope {scope.value!r} is needed")

    return guard


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    """The dependency ``principal``, for handlers behind :func:`requires`."""
    principal = request.scope.get("user")
    if not isinstance(principal, Principal):
        raise XinyiError(Code.UNAUTHENTICATED)
    return principal
