"""Who calls. The authorization server's middleware fills it; every room reads it."""

from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from ..kernel.errors import Code, XinyiError
from .scopes import Scope as Scope

STANDING_OPTION: Final = "standing_by_service"
STANDING_BY_SERVICE: Final = {STANDING_OPTION: True}
"""For a handler's ``opt``: its service tells, under locks of its own, whether the client and its owner may act.

Without it the middleware asks before the handler runs: a client that is disabled, or whose owner is suspended, gets no
further from that moment on, however long its token still lives.
"""


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


class Requires(Struct, frozen=True):
    """A guard: the caller has an access token with ``scope``.

    With ``or_consent`` a token that is bound to one consent will do as well, whatever its scope. The OpenAPI document
    takes an operation's security from here. (Async, since Litestar runs other guards in threads.)
    """

    scope: Scope
    or_consent: bool = False

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        principal = connection.scope.get("user")
        if not isinstance(principal, Principal):
            raise XinyiError(Code.UNAUTHENTICATED)
        if self.scope in principal.scopes or (self.or_consent and principal.consent_id is not None):
            return
        raise XinyiError(Code.INSUFFICIENT_SCOPE, f"the scope {self.scope.value!r} is needed")


def requires(scope: Scope, *, or_consent: bool = False) -> Requires:
    """The guard for operations that need ``scope``; see :class:`Requires`."""
    return Requires(scope, or_consent)


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    """The dependency ``principal``, for handlers behind :func:`requires`."""
    principal = request.scope.get("user")
    if not isinstance(principal, Principal):
        raise XinyiError(Code.UNAUTHENTICATED)
    return principal
