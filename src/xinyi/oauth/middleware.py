"""Who calls the API: an access token with the ``DPoP`` scheme, and a proof by the key it is bound to (RFC 9449 §7)."""

from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from ..kernel.errors import Code, XinyiError
from ..web.principal import Principal
from .jose import JwtProblem
from .service import OAuthService

_PREFIX: Final = "/v1/"


class AuthMiddleware:
    """Puts a :class:`Principal` into ``scope["user"]`` when an API request brings a token.

    A request without one goes on without a principal: guards decide whether it may. Raises ``XinyiError``
    (INVALID_TOKEN, INVALID_DPOP_PROOF), which the application's handlers turn into 401.
    """

    def __init__(self, app: ASGIApp, *, oauth: OAuthService) -> None:
        self._app = app
        self._oauth = oauth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = None
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(_PREFIX):
            scope["user"] = await self._principal(scope)
        await self._app(scope, receive, send)

    async def _principal(self, scope: HTTPScope) -> Principal | None:
        credentials = [value for name, value in scope["headers"] if name == b"authorization"]
        if not credentials:
            return None
        token = _token(credentials)
        try:
            principal = await self._oauth.tokens.verify(token)
        except JwtProblem as problem:
            raise XinyiError(Code.INVALID_TOKEN, str(problem), source="Authorization") from None
        proofs = [value.decode("latin-1") for name, value in scope["headers"] if name == b"dpop"]
        try:
            await self._oauth.proofs.verify(
                proofs, scope["state"]["method"], _path(scope), access_token=token, jkt=principal.jkt
            )
        except JwtProblem as problem:
            raise XinyiError(Code.INVALID_DPOP_PROOF, str(problem), source="DPoP") from None
        return principal


def _path(scope: HTTPScope) -> str:
    """The path as it was sent, still percent-encoded."""
    raw = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _token(credentials: list[bytes]) -> str:
    if len(credentials) > 1:
        raise XinyiError(Code.INVALID_TOKEN, "there are two Authorization headers", source="Authorization")
    scheme, _, token = credentials[0].decode("latin-1").partition(" ")
    if scheme.lower() != "dpop":
        raise XinyiError(Code.INVALID_TOKEN, "send the token with the DPoP scheme", source="Authorization")
    return token.strip(" ")
