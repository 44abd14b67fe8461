"""One operation of the document: what Litestar tells of it, made whole with what the handler's own parts say.

Security comes from the guards; the problems that every operation of its kind may meet (no token, no JSON, a wrong
member) come from what it takes, so that handlers name only their own.
"""

from http import HTTPStatus
from typing import Any, Final, get_args, get_origin

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from ..kernel.errors import DEFINITIONS, Code, XinyiError
from ..web.principal import Requires
from ..web.problem import EXAMPLE_INSTANCE, PROBLEM_JSON, Problem, describe, problem_of
from .examples import example
from .schemas import Schema, parameter_schema

Operation = dict[str, Any]

_TOKEN: Final = (
    Code.UNAUTHENTICATED,
    Code.INVALID_TOKEN,
    Code.INVALID_DPOP_PROOF,
    Code.INSUFFICIENT_SCOPE,
    Code.NOT_ENTITLED,
    Code.PARTNER_SUSPENDED,
    Code.RATE_LIMITED,
    Code.UNAVAILABLE,
)
_BODY: Final = (Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE, Code.INVALID)
_INTERACTION: Final = {"$ref": "#/components/parameters/InteractionId"}
_HEADER_REFS: Final = {
    name: {"$ref": f"#/components/headers/{component}"}
    for name, component in {
        "x-fapi-interaction-id": "InteractionId",
        "www-authenticate": "WwwAuthenticate",
        "retry-after": "RetryAfter",
        "ratelimit": "RateLimit",
        "ratelimit-policy": "RateLimitPolicy",
    }.items()
}
_LINES: Final = "application/x-ndjson"
"""A text of many values: what the schema of one value says isn't said of it."""
_RETRY: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def body_types(handler: HTTPRouteHandler) -> dict[int | None, Any]:
    """The types of the bodies: what is sent under ``None``, what is answered under its status."""
    types: dict[int | None, Any] = {}
    if handler.parsed_data_field is not None:
        types[None] = handler.parsed_data_field.annotation
    answer = handler.parsed_fn_signature.return_type.annotation
    if get_origin(answer) is not None and issubclass(get_origin(answer), Response):
        (answer,) = get_args(answer)
    types[handler.status_code] = answer
    for status, spec in (handler.responses or {}).items():
        types[status] = spec.data_container
    return {where: type_ for where, type_ in types.items() if type_ not in {None, type(None), Any, bytes, str}}


def finish(
    operation: Operation, handler: HTTPRouteHandler, schemas: dict[Any, Schema], components: dict[str, Schema]
) -> Operation:
    """The operation whole. ``schemas``: by type; ``components``: by name."""
    types = {where: schemas[type_] for where, type_ in body_types(handler).items() if type_ in schemas}
    finished: Operation = {
        **{key: operation[key] for key in ("tags", "summary", "description", "operationId")},
        "security": _security(operation, handler),
        "parameters": [_INTERACTION, *map(_parameter, operation.get("parameters", []))],
    }
    if "requestBody" in operation:
        body = operation["requestBody"]
        finished["requestBody"] = {**body, "content": _content(body["content"], types.get(None), components)}
    finished["responses"] = _responses(operation, handler, types, components)
    return finished


def _security(operation: Operation, handler: HTTPRouteHandler) -> list[dict[str, list[str]]]:
    for guard in handler.resolve_guards():
        if isinstance(guard, Requires):
            scoped = {"dpop": [guard.scope.value]}
            return [scoped, {"dpop": []}] if guard.or_consent else [scoped]
    return [scheme for scheme in operation.get("security", []) if scheme]


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in parameter.items() if key not in {"deprecated", "schema"} or value is True}
    return {**kept, "schema": parameter_schema(parameter["schema"])}


def _responses(
    operation: Operation, handler: HTTPRouteHandler, types: dict[int | None, Schema], components: dict[str, Schema]
) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, response in operation["responses"].items():
        if int(status) >= HTTPStatus.BAD_REQUEST and int(status) not in (handler.responses or {}):
            continue  # Litestar's own, which this application never gives
        schema = types.get(int(status))
        content = _content(response.get("content", {}), schema, components)
        if int(status) == handler.status_code:
            response = {**response, "description": handler.response_description or _says(schema, components)}
        responses[status] = {**response, "content": content}
    refusals = [spec for status, spec in (handler.responses or {}).items() if status >= HTTPStatus.BAD_REQUEST]
    if all(spec.data_container is Problem for spec in refusals):
        _add_problems(responses, _codes(operation, handler))
    return {status: _whole(int(status), response) for status, response in sorted(responses.items())}


def _whole(status: int, response: dict[str, Any]) -> dict[str, Any]:
    content = response.get("content")
    return {
        "description": response["description"],
        "headers": _headers(status, response),
        **({"content": content} if content else {}),
    }


def _codes(operation: Operation, handler: HTTPRouteHandler) -> list[Code]:
    """The problems that come from what the operation takes. Any request may be malformed: a host, a query."""
    codes = [Code.MALFORMED]
    if any(isinstance(guard, Requires) for guard in handler.resolve_guards()):
        codes += _TOKEN
    if "requestBody" in operation:
        codes += _BODY
    if any(parameter["in"] != "path" for parameter in operation.get("parameters", [])):
        codes.append(Code.INVALID)
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
        codes.append(Code.NOT_FOUND)
    return codes


def _add_problems(responses: dict[str, Any], codes: list[Code]) -> None:
    """Puts ``codes`` among the problems that the handler names, in the order of the list of codes."""
    order = list(Code)
    for status in {str(DEFINITIONS[code].status) for code in codes} | {s for s in responses if int(s) >= 400}:
        named = responses.get(status, {}).get("content", {}).get(PROBLEM_JSON, {}).get("examples", {})
        here = {code for code in codes if str(DEFINITIONS[code].status) == status} | {Code(name) for name in named}
        group = sorted(here, key=order.index)
        responses[status] = {
            "description": describe(group),
            "content": {
                PROBLEM_JSON: {
                    "schema": {"$ref": f"#/components/schemas/{Problem.__name__}"},
                    "examples": {code.value: {"$ref": f"#/components/examples/{code.value}"} for code in group},
                }
            },
        }


def problem_examples(codes: set[str]) -> dict[str, Any]:
    """The components that the problems' examples refer to."""
    return {
        code.value: {
            "summary": DEFINITIONS[code].title.en,
            "value": msgspec.to_builtins(problem_of(XinyiError(code), EXAMPLE_INSTANCE)),
        }
        for code in Code
        if code.value in codes
    }


def _headers(status: int, response: dict[str, Any]) -> dict[str, Any]:
    names = ["x-fapi-interaction-id"]
    examples = response.get("content", {}).get(PROBLEM_JSON, {}).get("examples", {})
    if status == HTTPStatus.UNAUTHORIZED and examples.keys() - {Code.SESSION_REQUIRED.value}:
        names.append("www-authenticate")
    if status in _RETRY:
        names.append("retry-after")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        names += ["ratelimit", "ratelimit-policy"]
    return {**response.get("headers", {}), **{name: _HEADER_REFS[name] for name in names}}


def _content(content: dict[str, Any], schema: Schema | None, components: dict[str, Schema]) -> dict[str, Any]:
    """The media types with our schema, which is JSON's, and with an example unless they have some."""
    finished = {}
    for media_type, told in content.items():
        shown = told.get("schema", {}) if schema is None or media_type == _LINES else schema
        if shown.get("type") == "null":
            continue  # no body, with a status that could have one
        examples = {
            name: {k: v for k, v in each.items() if k != "id"} for name, each in told.get("examples", {}).items()
        }
        finished[media_type] = {**told, "schema": shown, **({"examples": examples} if examples else {})}
        if not examples and "example" not in told and (instance := example(shown, components)) is not None:
            finished[media_type]["example"] = instance
    return finished


def _says(schema: Schema | None, components: dict[str, Schema]) -> str:
    """What a success is, in the words of what it carries."""
    if schema is None:
        return "Done."
    name = schema.get("$ref", "").rpartition("/")[2]
    return str(components.get(name, schema).get("description", "The answer."))
