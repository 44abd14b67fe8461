"""Form parameters, refused in the words of OAuth."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from litestar import Request

from ..kernel.errors import Code, XinyiError
from ..web import forms
from ..web.forms import FORM_TYPE as FORM_TYPE
from ..web.forms import MAX_BODY as MAX_BODY
from .errors import ErrorCode, OAuthError

_OURS = frozenset({Code.MALFORMED, Code.UNSUPPORTED_MEDIA_TYPE})


async def read_form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The parameters of a form body. Raises :class:`OAuthError` (invalid_request)."""
    with _refusing():
        return await forms.read_form(request)


def read_query(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The parameters of the query. Raises :class:`OAuthError` (invalid_request)."""
    with _refusing():
        return forms.parse_parameters(request.scope["query_string"])


def required(form: dict[str, str], name: str) -> str:
    """The parameter. Raises :class:`OAuthError` (invalid_request) when it is missing."""
    if name not in form:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"{name} is missing")
    return form[name]


@contextmanager
def _refusing() -> Generator[None]:
    try:
        yield
    except XinyiError as error:
        if error.code not in _OURS:
            raise
        raise OAuthError(ErrorCode.INVALID_REQUEST, error.detail or error.definition.title.en) from None
