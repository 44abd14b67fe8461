"""Files that are sent as they are."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from .._engine import Upload

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
}


def upload_of(file: str | Path, taken: Collection[str] = MEDIA_TYPES) -> Upload:
    """A file's bytes, under the media type that the end of its name says. Raises ``ValueError`` for another end."""
    path = Path(file)
    if path.suffix not in taken:
        raise ValueError(f"{path}: its name must end with {', '.join(taken)}")
    return Upload(path.read_bytes(), MEDIA_TYPES[path.suffix])
