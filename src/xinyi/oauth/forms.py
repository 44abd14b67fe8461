"""Form parameters, read strictly (RFC 6749 §3.1, §3.2 and appendix B)."""

from typing import Any, Final
from urllib.parse import parse_qsl

from litestar import Request

from .errors import ErrorCode, OAuthError

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MAX_BODY: Final = 64 * 1024
MAX_PARAMETERS: Final = 50


async def read_form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The parameters of a form body. Raises :class:`OAuthError` (invalid_request)."""
    if request.content_type[0] != FORM_TYPE:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"send {FORM_TYPE}")
    return parse_parameters(await request.body())


def read_query(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The parameters of the query. Raises :class:`OAuthError` (invalid_request)."""
    return parse_parameters(request.scope["query_string"])


def parse_parameters(data: bytes) -> dict[str, str]:
    """Each parameter once; one without a value counts as omitted. Raises :class:`OAuthError` (invalid_request)."""
    if len(data) > MAX_BODY:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"the parameters are longer than {MAX_BODY} bytes")
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(data),
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "the parameters can't be parsed") from None
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "a parameter is there twice")
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "a parameter has a NUL")
    return {name: value for name, value in pairs if value}


def required(form: dict[str, str], name: str) -> str:
    """The parameter. Raises :class:`OAuthError` (invalid_request) when it is missing."""
    if name not in form:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"{name} is missing")
    return form[name]
