"""Request bodies, read strictly.

JSON is decoded straight into the handler's Struct: no coercion, no unknown members, no member twice, no deep nesting,
no text that can't be stored.
"""

import json
import re
from collections.abc import AsyncGenerator, Iterator
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from ..kernel.errors import Code, XinyiError
from .complaints import plain

MAX_DEPTH: Final = 32
_NESTING: Final = (dict, list)
_PATH: Final = re.compile(r" - at (?:`key` in )?`\$?(?P<path>.*)`$")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_MEMBER: Final = re.compile(r"^Object (?:contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)
_SUSPECT: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


class StrictRequest(Request[Any, Any, Any]):
    """Litestar's request, with the strict reading of bodies."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they arrive.

        Raises ``XinyiError``: UNSUPPORTED_MEDIA_TYPE for a compressed body (RFC 9110 §8.4), whose real size nobody
        knows beforehand; MALFORMED when the caller leaves before its end.
        """
        if self.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise XinyiError(
                Code.UNSUPPORTED_MEDIA_TYPE, "compressed bodies aren't accepted", source="content-encoding"
            )
        try:
            async for chunk in super().stream():
                yield chunk
        except InternalServerException as error:
            raise XinyiError(Code.MALFORMED, "the body ended early") from error

    async def json(self) -> Any:
        """The body as the type of the handler's ``data``.

        Raises ``XinyiError``: UNSUPPORTED_MEDIA_TYPE, MALFORMED (can't be parsed) or INVALID (wrong members).
        """
        if self.content_type[0] != "application/json":
            raise XinyiError(Code.UNSUPPORTED_MEDIA_TYPE, "send application/json", source="content-type")
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
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise XinyiError(Code.MALFORMED, "the body isn't JSON") from error


def _invalid(error: msgspec.ValidationError) -> XinyiError:
    """msgspec's sentence or our type's own, in plain words, with its place made a pointer."""
    text = str(error)
    found = _PATH.search(text)
    sentence = text[: found.start()] if found else text
    pointer = _pointer(found["path"]) if found else ""
    if member := _MEMBER.match(sentence):
        pointer += f"/{_escaped(member['name'])}"
    own = isinstance(error.__cause__, ValueError)
    return XinyiError(Code.INVALID, sentence if own else plain(sentence), source=pointer)


def _check_form(body: bytes) -> None:
    """Refuses what msgspec would let pass silently: a member that stands twice, deep nesting, NUL in a text."""
    try:
        value = _once_decoder.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise XinyiError(Code.MALFORMED, "the body isn't JSON") from error
    _check_depth(value, MAX_DEPTH)
    if _SUSPECT.search(body):
        for pointer, text in _texts(value, ""):
            if _UNSTORABLE.search(text):
                detail = "a text has NUL or half a surrogate pair, which can't be stored"
                raise XinyiError(Code.INVALID, detail, source=_UNSTORABLE.sub("\ufffd", pointer))


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, _NESTING):
        return
    if left == 1:
        raise XinyiError(Code.MALFORMED, f"the body is nested deeper than {MAX_DEPTH} levels")
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, _NESTING):
            _check_depth(inner, left - 1)


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Each text in ``value``, members' names included, with its JSON Pointer."""
    match value:
        case str():
            yield pointer, value
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, f"{pointer}/{index}")
        case dict():
            for name, item in value.items():
                inner = f"{pointer}/{_escaped(name)}"
                yield inner, name
                yield from _texts(item, inner)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise XinyiError(Code.MALFORMED, "a member stands twice in one object")
    return members


_once_decoder: Final = json.JSONDecoder(object_pairs_hook=_once_each)


def _pointer(path: str) -> str:
    """A JSON Pointer (RFC 6901) for msgspec's path, such as ``/items/0/scenario`` for ``.items[0].scenario``.

    msgspec doesn't name an object's free keys (``.facts[...].grade``): the pointer then ends at that object.
    """
    path = path.partition("[...]")[0]
    return "".join("/" + _escaped(name or index) for name, index in _STEP.findall(path))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
