"""Who calls the API: an access token with the ``DPoP`` scheme, and a proof by the key it is bound to (RFC 9449 §7)."""

from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from ..kernel.errors import Code, XinyiError
from ..web.principal import STANDING_OPTION, Principal
from ..web.rates import OPTION, Limit, noting
from .access_token import Revoked
from .jose import JwtProblem
from .nonces import NonceNeeded
from .service import OAuthService

_PREFIX: Final = "/v1/"


class AuthMiddleware:
    """Puts a :class:`Principal` into ``scope["user"]`` when an API request brings a token.

    A request without one goes on without a principal: guards decide whether it may. Every other one is counted against
    its client's rate, and asks whether the client may still act unless the handler's service does: see
    ``web.rates.OPTION`` and ``web.principal.STANDING_BY_SERVICE``. Every answer to a proof brings a nonce, if they are
    wanted: see ``web.middleware``. Raises ``XinyiError``: INVALID_TOKEN, INVALID_DPOP_PROOF, USE_DPOP_NONCE,
    RATE_LIMITED, NOT_ENTITLED, PARTNER_SUSPENDED, UNAVAILABLE.
    """

    def __init__(self, app: ASGIApp, *, oauth: OAuthService) -> None:
        self._app = app
        self._oauth = oauth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = None
        if self._oauth.nonces is not None and scope["type"] == ScopeType.HTTP and _is_proved(scope):
            scope["state"]["dpop_nonce"] = self._oauth.nonces.current()
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(_PREFIX):
            scope["user"] = await self._principal(scope)
        await self._app(scope, receive, send)

    async def _principal(self, scope: HTTPScope) -> Principal | None:
        credentials = [value for name, value in scope["headers"] if name == b"authorization"]
        if not credentials:
            return None
        token = _token(credentials)
        try:
            verified = self._oauth.tokens.read(token)
        except JwtProblem as problem:
            raise XinyiError(Code.INVALID_TOKEN, str(problem), source="Authorization") from None
        principal = verified.principal
        options = scope["route_handler"].opt
        proofs = [value.decode("latin-1") for name, value in scope["headers"] if name == b"dpop"]
        try:
            proof = self._oauth.proofs.read(
                proofs, scope["state"]["method"], _path(scope), access_token=token, jkt=principal.jkt
            )
            # Asked first, so that count, standing and proof share one round trip.
            counted = self._oauth.rates.count(options.get(OPTION, Limit.CALLS), principal.client_id)
            standing = self._oauth.tokens.standing(verified)
            try:
                await self._oauth.proofs.use(proof)
                await standing.settle()
                await counted.settle(noting(scope))
            finally:
                standing.drop()
                counted.drop()
        except Revoked as problem:
            raise XinyiError(Code.INVALID_TOKEN, str(problem), source="Authorization") from None
        except NonceNeeded as problem:
            raise XinyiError(Code.USE_DPOP_NONCE, str(problem), source="DPoP") from None
        except JwtProblem as problem:
            raise XinyiError(Code.INVALID_DPOP_PROOF, str(problem), source="DPoP") from None
        if not options.get(STANDING_OPTION):
            await self._oauth.require_standing(principal.client_id)
        return principal


def _is_proved(scope: HTTPScope) -> bool:
    """Whether the answer should bring a nonce: one to a proof isn't kept by anybody on its way (RFC 9449 §8.2)."""
    return any(name == b"dpop" for name, _ in scope["headers"])


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
