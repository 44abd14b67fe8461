"""Errors as RFC 9457 ``application/problem+json``."""

import re
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.enums import HttpMethod, ParamType
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.utils import normalize_path
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..kernel.errors import DEFINITIONS, Code, ItemError, XinyiError
from ..telemetry.logs import log_unforeseen
from ..telemetry.metrics import REFUSAL
from .complaints import plain
from .pages import error_page

PROBLEM_JSON: Final = "application/problem+json"
_HTML: Final = "text/html"
_NO_PAGE: Final = frozenset({Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED})
_MISSING: Final = re.compile(r"Missing required \w+ parameter '([^']+)'")
"""How Litestar says that a parameter or a header wasn't sent."""
_RETRY_AFTER: Final = 1
EXAMPLE_INSTANCE: Final = "urn:uuid:6ba7b814-9dad-41d1-80b4-00c04fd430c8"


class Problem(Struct, frozen=True, omit_defaults=True):
    """A problem document (RFC 9457), with our stable ``code``."""

    type: Annotated[str, Meta(description="Where the code is explained.")]
    title: Annotated[str, Meta(description="What went wrong, Chinese first and English second.")]
    status: Annotated[int, Meta(ge=400, le=599, description="The HTTP status.")]
    code: Annotated[Code, Meta(description="The stable code; see `/v1/metadata/error-codes`.")]
    instance: Annotated[str, Meta(description="This occurrence: what the refusal left, or the request's id.")]
    detail: Annotated[str, Meta(description="What was wrong with this request.")] | UnsetType = UNSET
    source: (
        Annotated[str, Meta(description="The bad member: a JSON Pointer, or a parameter's or header's name.")]
        | UnsetType
    ) = UNSET
    retry_after: Annotated[int, Meta(ge=0, description="Seconds until another try makes sense.")] | UnsetType = UNSET
    errors: (
        Annotated[tuple[ItemError, ...], Meta(description="The first items of an upload that can't be taken.")]
        | UnsetType
    ) = UNSET


def problem_of(error: XinyiError, instance: str) -> Problem:
    """The document that tells ``error``."""
    definition = error.definition
    return Problem(
        type=f"/v1/metadata/error-codes#{error.code.value}",
        title=f"{definition.title.zh} / {definition.title.en}",
        status=definition.status,
        code=error.code,
        instance=instance,
        detail=UNSET if error.detail is None else error.detail,
        source=UNSET if error.source is None else error.source,
        retry_after=UNSET if error.retry_after is None else error.retry_after,
        errors=error.errors or UNSET,
    )


def respond(request: Request[Any, Any, Any], error: XinyiError) -> Response[Any]:
    """The response that tells ``error``."""
    request.scope["state"][REFUSAL] = error.code.value
    problem = problem_of(
        error, error.instance or f"urn:uuid:{request.scope['state'].get('interaction_id', UUID(int=0))}"
    )
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if problem.status == HTTPStatus.UNAUTHORIZED and error.code is not Code.SESSION_REQUIRED:
        headers["www-authenticate"] = _challenge(request, error)
    return Response(problem, status_code=problem.status, media_type=PROBLEM_JSON, headers=headers)


def _challenge(request: Request[Any, Any, Any], error: XinyiError) -> str:
    """The scheme, the algorithms, the error unless no token was sent (RFC 9449 §7.1), and where to learn the rest
    (RFC 9728 §5.1).
    """
    parts = ['DPoP algs="ES256 PS256 Ed25519 EdDSA"']
    if (metadata := request.app.state.get("resource_metadata")) is not None:
        parts.append(f'resource_metadata="{metadata}"')
    if error.code is not Code.UNAUTHENTICATED:
        parts.append(f'error="{error.code.value}"')
    return ", ".join(parts)


def on_xinyi_error(request: Request[Any, Any, Any], error: XinyiError) -> Response[Any]:
    return respond(request, error)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Litestar's own refusals, in our words; 405 names the methods that are allowed (RFC 9110 §15.5.6).

    Who looks for a page that isn't there, or opens the address of a form, gets a page.
    """
    told = translated(error)
    if told.source is not None:
        told.source = _sent_as(request, told.source)
    looks = told.code in _NO_PAGE and request.accept.best_match([PROBLEM_JSON, _HTML]) == _HTML
    response = error_page(request, told) if looks else respond(request, told)
    if isinstance(error, MethodNotAllowedException):
        response.set_header("allow", ", ".join(_allowed(request)))
    return response


def _sent_as(request: Request[Any, Any, Any], parameter: str) -> str:
    """What the caller calls a handler's parameter."""
    field = request.route_handler.parsed_fn_signature.parameters.get(parameter)
    return getattr(field and field.kwarg_definition, "name", None) or parameter


def _allowed(request: Request[Any, Any, Any]) -> list[str]:
    """The methods that the router knows for the request's path."""
    path = normalize_path(request.scope["path"])
    allowed = []
    for method in HttpMethod:
        with suppress(MethodNotAllowedException):
            request.app.asgi_router.handle_routing(path=path, method=method.value)
            allowed.append(method.value)
    return sorted({*allowed, *(("HEAD",) if "GET" in allowed else ())})


def translated(error: HTTPException) -> XinyiError:
    """Litestar's own refusal as one of ours."""
    match error:
        case MethodNotAllowedException():
            return XinyiError(Code.METHOD_NOT_ALLOWED)
        case NotFoundException():
            return XinyiError(Code.NOT_FOUND)
        case ValidationException():
            return _invalid(error)
        case _ if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return XinyiError(Code.BODY_TOO_LARGE)
        case _ if error.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            return XinyiError(Code.UNSUPPORTED_MEDIA_TYPE)
        case ClientException():
            return XinyiError(Code.MALFORMED)
        case _:
            return XinyiError(Code.INTERNAL)


def _invalid(error: ValidationException) -> XinyiError:
    """A parameter that isn't as it should be. In a path it names nothing."""
    first = next(iter(error.extra or ()), None)
    if not isinstance(first, dict):
        missing = _MISSING.match(error.detail)
        return XinyiError(Code.MALFORMED, missing and f"{missing[1]} is missing", source=missing and missing[1])
    name = str(first.get("key"))
    match first.get("source"):
        case ParamType.PATH:
            return XinyiError(Code.NOT_FOUND)
        case ParamType.HEADER:
            return XinyiError(Code.INVALID, plain(str(first.get("message"))), source=name.replace("_", "-"))
        case _ if name == "data":
            return XinyiError(Code.MALFORMED, "a JSON body is required")
        case _:
            return XinyiError(Code.INVALID, plain(str(first.get("message"))), source=name)


def on_any_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    return respond(request, unforeseen(request, error))


def unforeseen(request: Request[Any, Any, Any], error: Exception) -> XinyiError:
    """What nobody foresaw is logged, and told as ``internal``; a database that can't be reached as ``unavailable``."""
    log_unforeseen(error, request.scope["state"].get("interaction_id"))
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return XinyiError(Code.UNAVAILABLE, retry_after=_RETRY_AFTER)
    return XinyiError(Code.INTERNAL)


def describe(codes: Iterable[Code]) -> str:
    """The codes with what they mean, in one line of Markdown."""
    return " · ".join(f"`{code.value}`: {DEFINITIONS[code].title.en}" for code in codes) + "."


def problems(*codes: Code) -> dict[int, ResponseSpec]:
    """For a handler's ``responses=``: the problem documents that these codes give, by status, with an example each.

    Name the operation's own. What comes from what it takes (no token, no JSON, a wrong member) the document adds.
    """
    by_status: dict[int, list[Code]] = {}
    for code in codes:
        by_status.setdefault(DEFINITIONS[code].status, []).append(code)
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=describe(group),
            media_type=PROBLEM_JSON,
            generate_examples=False,
            examples=[
                Example(id=code.value, value=msgspec.to_builtins(problem_of(XinyiError(code), EXAMPLE_INSTANCE)))
                for code in group
            ],
        )
        for status, group in by_status.items()
    }
