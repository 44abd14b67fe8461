"""``/docs``: the document as a page and as files; ``/``: what this is, and where to go on.

The page is rendered here and needs no script, so that it lives under the same strict policy as every other page, and no
bundle of somebody else's JavaScript has to be kept.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from litestar import Request, Response, Router, get

from ..web.caching import public
from ..web.pages import page
from .document import Document, to_yaml
from .views import Group, groups, prose

YAML = "application/yaml"


def reference(make: Callable[[], Document], issuer: str) -> Router:
    """The routes of the reference. The document is made when somebody first asks for it; ``issuer`` is its server."""

    @cache
    def made() -> Document:
        return {**make(), "servers": [{"url": issuer, "description": "This installation"}]}

    @cache
    def shown() -> tuple[Group, ...]:
        return groups(made())

    @get("/", sync_to_thread=False)
    def home(request: Request[Any, Any, Any]) -> Response[str]:
        return page(request, "openapi/home.html")

    @get("/docs", sync_to_thread=False)
    def as_page(request: Request[Any, Any, Any]) -> Response[str]:
        info = made()["info"]
        return page(
            request,
            "openapi/reference.html",
            groups=shown(),
            version=info["version"],
            introduction=prose(info["description"]),
            server=issuer,
        )

    @get("/docs/openapi.json", sync_to_thread=False)
    def as_json(request: Request[Any, Any, Any]) -> Response[Document]:
        return public(request, made())

    @get("/docs/openapi.yaml", media_type=YAML, sync_to_thread=False)
    def as_yaml() -> Response[str]:
        return Response(to_yaml(made()), media_type=YAML, headers={"cache-control": "public, max-age=300"})

    return Router("/", route_handlers=[home, as_page, as_json, as_yaml], include_in_schema=False)
