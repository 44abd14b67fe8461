"""What a batch's program keeps on disk, so that the same call goes on after its own crash."""

import hashlib
import os
import uuid
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from .models.batches import BatchItem


class _Job(Struct, kw_only=True):
    """Beside the output: what was asked (by its hash), under which key, and which batch that is once it is known."""

    asked: str
    idempotency_key: str
    batch_id: str | None = None


class _Line(Struct):
    number: int


class Journal:
    """The output of a batch, one item a line in order, and beside it ``….batch``, which says what it is the output of.

    The idempotency key is on disk before anything is sent: a program that dies in between sends the same batch again.
    What was half written is cut off. One process at a time writes an output.
    """

    def __init__(self, out: str | Path, body: bytes) -> None:
        """Raises ``ValueError`` when ``out`` is the output of something else."""
        self.path = Path(out)
        self._beside = self.path.with_name(self.path.name + ".batch")
        asked = hashlib.sha256(body).hexdigest()
        if self._beside.exists():
            self._job = msgspec.json.decode(self._beside.read_bytes(), type=_Job)
            if self._job.asked != asked:
                raise ValueError(f"{out} is the output of other questions: name another file")
        elif self.path.exists():
            raise ValueError(f"{out} is there already, and is no batch's: nothing is overwritten")
        else:
            self._job = _Job(asked=asked, idempotency_key=str(uuid.uuid4()))
            self._keep()

    @property
    def idempotency_key(self) -> str:
        return self._job.idempotency_key

    @property
    def batch_id(self) -> str | None:
        return self._job.batch_id

    def name(self, batch_id: str) -> None:
        """Keeps which batch it is."""
        self._job.batch_id = batch_id
        self._keep()

    def _keep(self) -> None:
        new = self._beside.with_name(self._beside.name + ".new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(self._job))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._beside)


class Output:
    """Where the items of a batch go, one a line."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("a+b")
        self.last = last_number(self._file)
        """The number of the last item that is there whole."""

    def write(self, item: BatchItem) -> None:
        self._file.write(item.to_json().encode() + b"\n")
        self.last = item.number

    def flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def last_number(file: IO[bytes]) -> int:
    """The number of the last whole line; what was half written behind it is cut off."""
    file.seek(0)
    number = end = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        number, end = msgspec.json.decode(line, type=_Line).number, end + len(line)
    file.truncate(end)
    file.seek(0, os.SEEK_END)
    return number
