"""YAML files, read strictly: every complaint names the file and the line.

A file is composed to nodes (which know their lines), turned into plain values, and converted by msgspec. msgspec says
*where* something is wrong as a path such as ``$.fields[...].type``; the nodes turn that path back into a line.
"""

import re
from collections.abc import Callable, Hashable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import yaml
from msgspec import Struct

T = TypeVar("T")

_DURATION: Final = re.compile(r"^([1-9][0-9]{0,4})([dhm])$", re.ASCII)
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}
_COMPLAINT: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key` in `)?\$?(?P<path>.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MAX_DEPTH: Final = 32
_MAX_BYTES: Final = 256 * 1024


class Problem(Struct, frozen=True, order=True):
    """One thing that is wrong in one file. ``line`` counts from 1; ``str()`` is ``path:line: message``."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class FileError(Exception):
    """One or more files can't be used. ``problems`` says why, in the order of file and line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Source(Struct, frozen=True):
    """A file that was read, so that later checks can name lines too."""

    path: Path
    root: yaml.Node

    def problem(self, message: str, *path: str | int) -> Problem:
        """A problem at the member that ``path`` leads to, or at the nearest one that exists."""
        return Problem(self.path, _line(self.root, path), message)


_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml when the wheel has it: ten times as fast


def read(path: Path, type_: type[T]) -> tuple[T, Source]:
    """The file at ``path`` as ``type_``, with its source. Raises :class:`FileError` with its first problem.

    Durations are written ``400d``, ``24h`` or ``15m``; dates stay text.
    """
    source = Source(path, _compose(path))
    plain = _plain(source, source.root)

    def convert(value: Any) -> T:
        return msgspec.convert(value, type_, builtin_types=(timedelta,))

    try:
        return convert(plain), source
    except msgspec.ValidationError as error:
        raise FileError([_located(source, plain, error, convert)]) from error


def _compose(path: Path) -> yaml.Node:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise FileError([Problem(path, 1, f"is larger than {_MAX_BYTES // 1024} KiB")])
        text = data.decode("utf-8")
        _check_form(path, text)
        node = yaml.compose(text, _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise FileError([Problem(path, 1, f"can't be read as UTF-8 text ({type(error).__name__})")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise FileError([Problem(path, mark.line + 1 if mark else 1, error.problem or "isn't YAML")]) from error
    except yaml.YAMLError as error:
        raise FileError([Problem(path, 1, "isn't YAML")]) from error
    if node is None:
        raise FileError([Problem(path, 1, "is empty")])
    return node


def _check_form(path: Path, text: str) -> None:
    """Refuses what composing can't bear: it follows aliases, and libyaml's stack ends before deep nesting does."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        match event:
            case yaml.AliasEvent():
                raise FileError([Problem(path, line, "aliases aren't used here")])
            case yaml.CollectionStartEvent():
                depth += 1
                if depth > _MAX_DEPTH:
                    raise FileError([Problem(path, line, f"is nested deeper than {_MAX_DEPTH} levels")])
            case yaml.CollectionEndEvent():
                depth -= 1


def _plain(source: Source, node: yaml.Node) -> Any:
    """The node's value as dicts, lists, text, numbers, booleans and durations."""
    if isinstance(node, yaml.MappingNode):
        result: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = _plain(source, key_node)
            if not isinstance(key, str):
                raise FileError([Problem(source.path, key_node.start_mark.line + 1, "a key must be text")])
            if key in result:
                raise FileError([Problem(source.path, key_node.start_mark.line + 1, f"`{key}` stands here twice")])
            result[key] = _plain(source, value_node)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(source, item) for item in node.value]
    assert isinstance(node, yaml.ScalarNode), "nodes are mappings, sequences or scalars"
    text: str = node.value
    match node.tag:
        case "tag:yaml.org,2002:str" if not node.style and (duration := _DURATION.match(text)):
            return timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        case "tag:yaml.org,2002:str" | "tag:yaml.org,2002:timestamp":
            return text
        case "tag:yaml.org,2002:int" if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text, re.ASCII):
            return int(text)
        case "tag:yaml.org,2002:bool" if text in {"true", "false"}:
            return text == "true"
        case "tag:yaml.org,2002:null":
            return None
    raise FileError(
        [Problem(source.path, node.start_mark.line + 1, f"`{text}` is ambiguous in YAML: put it in quotes")]
    )


def _located(source: Source, plain: Any, error: msgspec.ValidationError, convert: Callable[[Any], object]) -> Problem:
    """The problem that ``error`` tells, at its line."""
    match = _COMPLAINT.match(str(error))
    assert match is not None, "the pattern matches any text"
    steps = [name or index for name, index in _STEP.findall(match["path"] or "")]
    path: list[str | int] = []
    here = plain
    for step in steps:
        if step == "...":
            step = _culprit(plain, path, str(error), convert)
            if step is None:
                break
            path.append(step)
        else:
            path.append(int(step) if step.isdigit() else step)
        here = here[path[-1]]
    what = match["what"]
    if (unknown := re.search(r"unknown field `(.*)`$", what)) is not None:
        path.append(unknown[1])
    return source.problem(what[:1].lower() + what[1:], *path)


def _culprit(plain: Any, path: list[str | int], complaint: str, convert: Callable[[Any], object]) -> str | None:
    """Which key of a mapping msgspec means by ``[...]``: the one that, left alone, still draws the same complaint."""
    mapping = plain
    for step in path:
        mapping = mapping[step]
    for key in mapping:
        try:
            convert(_with(plain, path, {key: mapping[key]}))
        except msgspec.ValidationError as error:
            if str(error) == complaint:
                return str(key)
    return None


def _with(plain: Any, path: list[str | int], value: Any) -> Any:
    """A copy of ``plain`` in which ``path`` leads to ``value``."""
    if not path:
        return value
    copy = plain.copy()
    copy[path[0]] = _with(copy[path[0]], path[1:], value)
    return copy


def _line(node: yaml.Node, path: tuple[str | int, ...]) -> int:
    """The line, from 1, of the member that ``path`` leads to, or of the nearest one above it that exists."""
    line = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line
