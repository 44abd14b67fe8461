"""Whatever goes wrong on a page is told on a page."""

from collections.abc import Callable
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from ..kernel.errors import XinyiError
from .pages import error_page, on_page_error
from .problem import translated, unforeseen


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    return error_page(request, translated(error))


def _on_any_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    return error_page(request, unforeseen(request, error))


PAGE_ERRORS: Final[dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]] = {
    XinyiError: on_page_error,
    HTTPException: _on_http_exception,
    Exception: _on_any_exception,
}
"""For a page controller's ``exception_handlers``."""
