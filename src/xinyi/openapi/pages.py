"""``/docs``: the document as files and as a page."""

from collections.abc import Callable
from functools import cache
from typing import Any

from litestar import Request, Response, Router, get

from ..web.caching import public
from .document import Document, to_yaml


def reference(make: Callable[[], Document]) -> Router:
    """The routes of the reference; the document is made when somebody first asks for it."""

    @cache
    def made() -> Document:
        return make()

    @get("/openapi.json", sync_to_thread=False)
    def as_json(request: Request[Any, Any, Any]) -> Response[Document]:
        return public(request, made())

    @get("/openapi.yaml", media_type="application/yaml", sync_to_thread=False)
    def as_yaml(request: Request[Any, Any, Any]) -> Response[str]:
        return Response(to_yaml(made()), media_type="application/yaml")

    return Router("/docs", route_handlers=[as_json, as_yaml], include_in_schema=False)
