"""The data list in memory: loaded once, at start-up, all of it or nothing."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..kernel.errors import Code, XinyiError
from .files import FileError, Problem, Source, read
from .lint import problems_in
from .location import scenarios_dir
from .model import RecordType


class Catalogue:
    """The record types by code, in the order of their codes."""

    def __init__(self, record_types: Mapping[str, RecordType]) -> None:
        self._record_types = dict(sorted(record_types.items()))

    @classmethod
    def load(cls, folder: Path | None = None) -> "Catalogue":
        """Reads ``folder/record-types/*.yaml`` (default: the set that comes with the product).

        Raises :class:`FileError` with every problem of every file.
        """
        directory = (folder or scenarios_dir()) / "record-types"
        found: dict[str, RecordType] = {}
        problems: list[Problem] = []
        paths = sorted(directory.glob("*.yaml"))
        if not paths:
            raise FileError([Problem(directory, 1, "holds no record types")])
        for path in paths:
            try:
                record_type, source = read(path, RecordType)
            except FileError as error:
                problems += error.problems
                continue
            problems += problems_in(record_type, source)
            problems += _misnamed(record_type, source)
            found[record_type.code] = record_type
        if problems:
            raise FileError(sorted(problems))
        return cls(found)

    def get(self, code: str) -> RecordType:
        """The record type, enabled or not. Raises ``XinyiError(NOT_FOUND)``."""
        try:
            return self._record_types[code]
        except KeyError:
            raise XinyiError(Code.NOT_FOUND, "there is no such record type") from None

    def __contains__(self, code: object) -> bool:
        return code in self._record_types

    def __iter__(self) -> Iterator[RecordType]:
        return iter(self._record_types.values())


def _misnamed(record_type: RecordType, source: Source) -> list[Problem]:
    wanted = record_type.code.lower().replace("_", "-")
    if source.path.stem == wanted:
        return []
    return [source.problem(f"the file of {record_type.code} must be named {wanted}.yaml", "code")]
