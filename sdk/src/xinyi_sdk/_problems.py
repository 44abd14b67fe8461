"""From a response that isn't a success to the exception that says what it means."""

from typing import Any, Final, TypeVar

import msgspec

from ._flow import Response
from ._retry import retry_after
from .errors import APIError, InvalidResponse, error_class

T = TypeVar("T")

REQUEST_ID: Final = "x-fapi-interaction-id"


def problem_of(response: Response) -> dict[str, Any]:
    """The problem document or OAuth error; empty when the body is neither."""
    try:
        return msgspec.json.decode(response.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def error_of(response: Response, now: float) -> APIError:
    """The exception for a response."""
    problem = problem_of(response)
    code = problem.get("code") or problem.get("error")
    found = error_class(code if isinstance(code, str) else None, response.status, problem.get("source"))
    return found(problem, response.status, response.headers.get(REQUEST_ID), retry_after(response.headers, now))


def succeeded(response: Response, now: float) -> Response:
    """The response, if it is a success. Raises :class:`APIError`."""
    if 200 <= response.status < 300:
        return response
    raise error_of(response, now)


def read(response: Response, kind: type[T]) -> T:
    """The body as ``kind``. Raises :class:`InvalidResponse`, which names the member and not its value."""
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidResponse(f"the platform's answer can't be read: {error}") from None
