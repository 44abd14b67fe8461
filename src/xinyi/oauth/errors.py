"""Errors of the OAuth endpoints, as RFC 6749 §5.2 JSON or as parameters of the redirect (§4.1.2.1)."""

import re
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import Meta, Struct

from ..kernel.errors import Code, XinyiError
from ..telemetry.metrics import REFUSAL

_NOT_ALLOWED: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_DESCRIPTION_LENGTH: Final = 300


class ErrorCode(StrEnum):
    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    INVALID_SCOPE = "invalid_scope"
    ACCESS_DENIED = "access_denied"
    INVALID_AUTHORIZATION_DETAILS = "invalid_authorization_details"  # RFC 9396 §5
    INVALID_DPOP_PROOF = "invalid_dpop_proof"  # RFC 9449 §5
    USE_DPOP_NONCE = "use_dpop_nonce"  # RFC 9449 §8
    REQUEST_NOT_SUPPORTED = "request_not_supported"  # OpenID Connect Core §3.1.2.6
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    SERVER_ERROR = "server_error"


class OAuthError(Exception):
    """A refusal. ``description`` tells honest callers what their own request shows, and nothing else."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = _NOT_ALLOWED.sub("?", description)[:_DESCRIPTION_LENGTH]


class ErrorBody(Struct, frozen=True):
    """RFC 6749 §5.2."""

    error: Annotated[ErrorCode, Meta(description="The stable code.")]
    error_description: Annotated[str, Meta(description="What was wrong with this request.")]


def respond(
    request: Request[Any, Any, Any],
    error: OAuthError,
    status: int = HTTPStatus.BAD_REQUEST,
    retry_after: int | None = None,
) -> Response[Any]:
    """400 also for ``invalid_client``: 401 would have to name an HTTP scheme (RFC 9110 §15.5.2), and there is none."""
    request.scope["state"][REFUSAL] = error.code.value
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Response(ErrorBody(error.code, error.description), status_code=status, headers=headers)


def on_oauth_error(request: Request[Any, Any, Any], error: OAuthError) -> Response[Any]:
    return respond(request, error)


def on_xinyi_error(request: Request[Any, Any, Any], error: XinyiError) -> Response[Any]:
    """What a lower room refuses, in this endpoint's words."""
    status = error.definition.status
    detail = error.detail or error.definition.title.en
    if error.code is Code.RATE_LIMITED:
        # RFC 6749 has no code for it: the status says it to programs, the words to people.
        code, detail = ErrorCode.TEMPORARILY_UNAVAILABLE, f"{error.code.value}: {detail}"
    elif error.code is Code.UNAVAILABLE:
        code = ErrorCode.TEMPORARILY_UNAVAILABLE
    else:
        code = ErrorCode.INVALID_REQUEST if status < HTTPStatus.INTERNAL_SERVER_ERROR else ErrorCode.SERVER_ERROR
    return respond(request, OAuthError(code, detail), status, error.retry_after)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Litestar's own refusals, such as a body over the limit."""
    ours = error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    code = ErrorCode.SERVER_ERROR if ours else ErrorCode.INVALID_REQUEST
    return respond(request, OAuthError(code, HTTPStatus(error.status_code).phrase), error.status_code)
