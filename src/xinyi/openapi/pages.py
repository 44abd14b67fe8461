"""``/docs``: the document as a page and as files; ``/``: what this is, and where to go on.

The page is rendered here and needs no script, so that it lives under the same strict policy as every other page, and no
bundle of somebody else's JavaScript has to be kept.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from litestar import Request, Response, Router, get

from ..kernel.text import Language
from ..web.caching import Representation, representation, send
from ..web.pages import same_for_all, send_page
from .document import Document, to_yaml
from .views import groups, prose

YAML = "application/yaml"


def reference(make: Callable[[], Document], issuer: str) -> Router:
    """The routes of the reference; ``issuer`` is the document's server.

    What is the same for all is made when somebody first asks for it, and kept as bytes.
    """

    @cache
    def made() -> Document:
        return {**make(), "servers": [{"url": issuer, "description": "This installation"}]}

    @cache
    def home_in(language: Language) -> Representation:
        return same_for_all("openapi/home.html", language)

    @cache
    def reference_in(language: Language) -> Representation:
        info = made()["info"]
        return same_for_all(
            "openapi/reference.html",
            language,
            groups=groups(made()),
            version=info["version"],
            introduction=prose(info["description"]),
            server=issuer,
        )

    @cache
    def json_file() -> Representation:
        return representation(msgspec.json.encode(made()), "application/json")

    @cache
    def yaml_file() -> Representation:
        return representation(to_yaml(made()).encode(), YAML)

    @get("/", sync_to_thread=False)
    def home(request: Request[Any, Any, Any]) -> Response[bytes]:
        return send_page(request, home_in)

    @get("/docs", sync_to_thread=False)
    def as_page(request: Request[Any, Any, Any]) -> Response[bytes]:
        return send_page(request, reference_in)

    @get("/docs/openapi.json", sync_to_thread=False)
    def as_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        return send(request, json_file())

    @get("/docs/openapi.yaml", media_type=YAML, sync_to_thread=False)
    def as_yaml(request: Request[Any, Any, Any]) -> Response[bytes]:
        return send(request, yaml_file())

    return Router("/", route_handlers=[home, as_page, as_json, as_yaml], include_in_schema=False)
