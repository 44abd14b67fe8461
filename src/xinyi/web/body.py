"""Request bodies, read strictly.

JSON is decoded straight into the handler's Struct: no coercion, no unknown members, no member twice, no deep nesting.
"""

import json
import re
from typing import Any, Final

import msgspec
from litestar import Request

from ..kernel.errors import Code, XinyiError

MAX_DEPTH: Final = 32
_PATH: Final = re.compile(r" - at `\$?(?P<path>.*)`$")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class StrictRequest(Request[Any, Any, Any]):
    """Litestar's request, with the strict reading of JSON bodies."""

    async def json(self) -> Any:
        """The body as the type of the handler's ``data``.

        Raises ``XinyiError``: UNSUPPORTED_MEDIA_TYPE, MALFORMED (can't be parsed) or INVALID (wrong members).
        """
        if self.content_type[0] != "application/json":
            raise XinyiError(Code.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        field = self.route_handler.parsed_data_field
        return decode_json(await self.body(), Any if field is None else field.annotation)


def decode_json(body: bytes, type_: Any) -> Any:
    """Decodes ``body`` into ``type_``.

    Raises ``XinyiError``: MALFORMED, or INVALID with a JSON Pointer as ``source``.
    """
    _check_form(body)
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _PATH.search(text)
        sentence = text[: found.start()] if found else text
        raise XinyiError(Code.INVALID, sentence, source=_pointer(found["path"] if found else "")) from error
    except msgspec.DecodeError as error:
        raise XinyiError(Code.MALFORMED, "the body isn't JSON") from error


def _check_form(body: bytes) -> None:
    """Refuses what msgspec would let pass silently: a member that stands twice, and deep nesting."""
    try:
        value = json.loads(body, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise XinyiError(Code.MALFORMED, "the body isn't JSON") from error
    _check_depth(value, MAX_DEPTH)


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise XinyiError(Code.MALFORMED, f"the body is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, left - 1)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise XinyiError(Code.MALFORMED, "a member stands twice in one object")
    return members


def _pointer(path: str) -> str:
    """A JSON Pointer (RFC 6901) for msgspec's path, such as ``/items/0/scenario`` for ``.items[0].scenario``."""
    return "".join("/" + (name or index).replace("~", "~0").replace("/", "~1") for name, index in _STEP.findall(path))
