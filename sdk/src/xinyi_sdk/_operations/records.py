"""Records, for those who supply them."""

from pathlib import Path
from typing import Final

from .._engine import Engine
from .._flow import Flow, Page
from .._problems import read
from ..models.records import RecordBatch, RecordError
from .common import Data, Items, page_of, segment
from .uploads import upload_of

BATCHES: Final = "/v1/record-batches"
TAKEN: Final = (".csv", ".jsonl", ".ndjson")


def send(engine: Engine, file: str | Path, idempotency_key: str | None) -> Flow[RecordBatch]:
    upload = upload_of(file, TAKEN)
    response = yield from engine.call("POST", BATCHES, upload=upload, idempotency_key=idempotency_key)
    return read(response, Data[RecordBatch]).data


def get(engine: Engine, batch_id: str) -> Flow[RecordBatch]:
    return read((yield from engine.call("GET", f"{BATCHES}/{segment(batch_id)}")), Data[RecordBatch]).data


def errors(engine: Engine, batch_id: str, cursor: str | None) -> Flow[Page[RecordError]]:
    return page_of(engine, f"{BATCHES}/{segment(batch_id)}/errors", Items[RecordError], cursor)
