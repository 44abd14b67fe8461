"""JSON Schemas for editors, made from the Structs that read the files, so that they can't disagree."""

from pathlib import Path
from typing import Any, Final

import msgspec

from ..catalogue.model import RecordType
from ..records.deadlines import DeadlineTable, WorkingDays
from .behaviours import BehaviourFile
from .cases import CaseFile
from .model import Scenario

_FILES: Final[dict[str, Any]] = {
    "record-type.json": RecordType,
    "scenario.json": Scenario,
    "cases.json": CaseFile,
    "behaviours.json": BehaviourFile,
    "dispute-deadlines.json": DeadlineTable,
    "working-days.json": WorkingDays,
}


def schemas() -> dict[str, bytes]:
    """The schema files by name."""
    return {name: _schema(type_) for name, type_ in _FILES.items()}


def outdated(folder: Path) -> list[str]:
    """The names of the files in ``folder`` that aren't what the code says."""
    return [
        name
        for name, content in schemas().items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]


def write(folder: Path) -> list[Path]:
    """Writes the schema files into ``folder``; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in schemas().items():
        (folder / name).write_bytes(content)
        paths.append(folder / name)
    return paths


def _schema(type_: Any) -> bytes:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(type_)}
    _spell_durations(schema)
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"


def _spell_durations(node: Any) -> None:
    """The files write ``400d``, where msgspec thinks of ISO 8601."""
    if isinstance(node, dict):
        if node.get("format") == "duration":
            del node["format"]
            node["pattern"] = "^[1-9][0-9]{0,4}[dhm]$"
        for value in node.values():
            _spell_durations(value)
    elif isinstance(node, list):
        for value in node:
            _spell_durations(value)
