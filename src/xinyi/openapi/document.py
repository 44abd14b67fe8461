"""The whole document, as plain data and as YAML."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import yaml
from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler

from ..web.problem import Problem
from .config import HEADERS, INTERACTION_PARAMETER, openapi_config
from .operations import body_types, finish, problem_examples
from .schemas import PREFIX, body_schemas

Document = dict[str, Any]

_METHODS: Final = ("get", "put", "post", "delete", "patch")


def document(route_handlers: Sequence[ControllerRouterHandler], dependencies: Iterable[str]) -> Document:
    """The OpenAPI document of ``route_handlers``; ``dependencies`` names what is injected and no parameter.

    Nothing is served, and no service is needed.
    """
    described = Litestar(
        route_handlers=list(route_handlers),
        dependencies={name: Provide(lambda: None, sync_to_thread=False) for name in dependencies},
        openapi_config=openapi_config(),
        logging_config=None,
    )
    raw: Document = msgspec.to_builtins(described.openapi_schema.to_schema())
    handlers = _handlers(described)
    types = {type_: None for handler in handlers.values() for type_ in body_types(handler).values()}
    schemas, components = body_schemas([*types, Problem])
    paths = {
        path: {
            method: finish(operation, handlers[operation["operationId"]], schemas, components)
            for method, operation in item.items()
            if method in _METHODS
        }
        for path, item in sorted(raw["paths"].items())
    }
    _add_parameter_schemas(paths, components, raw["components"]["schemas"])
    used = {
        name
        for item in paths.values()
        for operation in item.values()
        for response in operation["responses"].values()
        for media in response.get("content", {}).values()
        for name, shown in media.get("examples", {}).items()
        if "$ref" in shown
    }
    return {
        "openapi": "3.1.0",
        **{key: raw[key] for key in ("info", "servers", "tags")},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "parameters": {"InteractionId": INTERACTION_PARAMETER},
            "headers": HEADERS,
            "examples": problem_examples(used),
            "securitySchemes": raw["components"]["securitySchemes"],
        },
    }


def to_yaml(document: Document) -> str:
    """The document as YAML, the same every time."""
    return yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they read, and says everything out: no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _handlers(app: Litestar) -> dict[str, HTTPRouteHandler]:
    """The handlers that the document tells of, by operation id."""
    return {
        handler.operation_id: handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.resolve_include_in_schema() and isinstance(handler.operation_id, str)
    }


def _add_parameter_schemas(paths: Document, components: Document, found: Document) -> None:
    """Closed lists that only parameters use are known to Litestar alone."""
    for item in paths.values():
        for operation in item.values():
            for parameter in operation["parameters"]:
                name = parameter.get("schema", {}).get("$ref", "").removeprefix(PREFIX)
                if name and name not in components:
                    components[name] = found[name]
