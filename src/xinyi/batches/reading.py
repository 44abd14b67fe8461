"""From an upload to questions: a JSON document, NDJSON, or CSV. Every item that can't be taken is pointed out."""

import csv
import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from ..checks.model import CheckRequest
from ..kernel.errors import Code, ItemError, XinyiError
from ..records.lines import LineSplitter
from ..web.body import decode_json
from .model import MAX_ITEMS, BadItem, BatchFormat, BatchItem, ItemFault

SHOWN: Final = 100
"""The most problems that one refusal lists."""

_BLOCK: Final = 256 * 1024
_MEMBERS: Final = CheckRequest.__struct_fields__
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_QUOTES: Final = 4 * len(_MEMBERS)
"""Quotation marks of an item that has each member once, and none in a text: every further member has two at least."""
_decoder: Final = msgspec.json.Decoder(CheckRequest)
_TYPES: Final = {field.name: field.type for field in msgspec.structs.fields(CheckRequest)}


class CheckBatchUpload(Struct, frozen=True, forbid_unknown_fields=True):
    """The questions of one batch, as one document."""

    items: Annotated[list[msgspec.Raw], Meta(description=f"The questions, at most {MAX_ITEMS}.")]


def read_items(file: IO[bytes], format_: BatchFormat) -> list[BatchItem]:
    """All items of an upload, numbered from 1. Takes a while: run it in a thread.

    Raises ``XinyiError``: INVALID, with the first of the problems as ``errors``, when any item can't be taken or when
    there is none; BODY_TOO_LARGE beyond ``MAX_ITEMS``; MALFORMED when a JSON document can't be parsed.
    """
    items: list[BatchItem] = []
    bad: list[ItemError] = []
    found = 0
    for number, (line, read) in enumerate(_parts(file, format_), 1):
        if number > MAX_ITEMS:
            raise XinyiError(Code.BODY_TOO_LARGE, f"a batch has at most {MAX_ITEMS} items: send several")
        if isinstance(read, CheckRequest):
            items.append(BatchItem(number, read))
            continue
        found += 1
        if len(bad) < SHOWN:
            bad.append(
                ItemError(
                    number=number,
                    line=msgspec.UNSET if line is None else line,
                    member=msgspec.UNSET if read.member is None else read.member,
                    code=read.code,
                )
            )
    if found:
        detail = f"{found} of {found + len(items)} items can't be taken; nothing was stored"
        raise XinyiError(Code.INVALID, detail, source="/items" if format_ is BatchFormat.JSON else None, errors=bad)
    if not items:
        raise XinyiError(Code.INVALID, "there is no item", source="/items" if format_ is BatchFormat.JSON else None)
    return items


_Part = tuple[int | None, CheckRequest | BadItem]
"""The line of the upload, from 1, and what it holds."""


def _parts(file: IO[bytes], format_: BatchFormat) -> Iterator[_Part]:
    match format_:
        case BatchFormat.JSON:
            for raw in decode_json(file.read(), CheckBatchUpload).items:
                yield None, _caught(_from_json, bytes(raw))
        case BatchFormat.NDJSON:
            for number, line in _lines(file):
                if line is None or line.strip():
                    yield number, _caught(_from_json, line)
        case BatchFormat.CSV:
            yield from _csv_parts(file)


def _caught(read: Any, *given: Any) -> CheckRequest | BadItem:
    try:
        request: CheckRequest = read(*given)
    except BadItem as bad:
        return bad
    return request


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number; ``None`` for one that is too long."""
    splitter = LineSplitter()
    number = 0
    while block := file.read(_BLOCK):
        for line in splitter.feed(block):
            number += 1
            yield number, line.removeprefix(BOM_UTF8) if line and number == 1 else line
    for line in splitter.end():
        number += 1
        yield number, line.removeprefix(BOM_UTF8) if line and number == 1 else line


def _csv_parts(file: IO[bytes]) -> Iterator[_Part]:
    """A header, then one item a line (RFC 4180, without line breaks inside quotes)."""
    header: list[str] | None = None
    for number, line in _lines(file):
        if header is None:
            header = _header(line)
        elif line is None or line.strip():
            yield number, _caught(_from_csv, header, line)
    if header is None:
        _header(None)


def _header(line: bytes | None) -> list[str]:
    try:
        names = [name.strip() for name in _cells(line)]
    except BadItem:
        names = []
    if sorted(names) != sorted(_MEMBERS):
        raise XinyiError(Code.INVALID, f"the first line must be the header {','.join(_MEMBERS)}", source="header")
    return names


def _from_csv(header: list[str], line: bytes | None) -> CheckRequest:
    cells = _cells(line)
    if len(cells) != len(header):
        raise BadItem(ItemFault.WRONG_CELL_COUNT)
    return _checked({name: cell for name, cell in zip(header, cells, strict=True) if cell})


def _cells(line: bytes | None) -> list[str]:
    try:
        return next(csv.reader([_text(line)], strict=True), [])
    except csv.Error:
        raise BadItem(ItemFault.NOT_CSV) from None


def _from_json(line: bytes | None) -> CheckRequest:
    if line is not None and line.count(b'"') == _QUOTES:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):  # what is wrong with it is found below
            return _storable(_decoder.decode(line))
    try:
        members = json.loads(_text(line), object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        raise BadItem(ItemFault.NOT_JSON) from None
    if not isinstance(members, dict):
        raise BadItem(ItemFault.WRONG_TYPE)
    return _checked(members)


def _text(line: bytes | None) -> str:
    if line is None:
        raise BadItem(ItemFault.LINE_TOO_LONG)
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise BadItem(ItemFault.NOT_UTF8) from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _checked(members: dict[str, Any]) -> CheckRequest:
    """The question, held to what a call is held to."""
    try:
        request = msgspec.convert(members, CheckRequest)
    except msgspec.ValidationError:
        raise _diagnosed(members) from None
    return _storable(request)


def _storable(request: CheckRequest) -> CheckRequest:
    for name, text in (("scenario", request.scenario), ("consent_id", request.consent_id)):
        if _UNSTORABLE.search(text):
            raise BadItem(ItemFault.WRONG_FORM, name)
    return request


def _diagnosed(members: dict[str, Any]) -> BadItem:
    if not set(_MEMBERS).issuperset(members):
        return BadItem(ItemFault.UNKNOWN_MEMBER)
    for name in _MEMBERS:
        if name not in members:
            return BadItem(ItemFault.REQUIRED, name)
        if not isinstance(members[name], str):
            return BadItem(ItemFault.WRONG_TYPE, name)
        try:
            msgspec.convert(members[name], _TYPES[name])
        except msgspec.ValidationError:
            return BadItem(ItemFault.WRONG_FORM, name)
    raise AssertionError("msgspec refused what is as it should be")
