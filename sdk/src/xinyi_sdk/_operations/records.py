"""Records, for those who supply them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .._engine import Engine
from .._flow import Flow, Page
from .._problems import read
from ..models.consents import Subject
from ..models.records import (
    Correction,
    Dispute,
    RecordBatch,
    RecordError,
    Repaired,
    RepairedRecord,
    SourceRecord,
)
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


def list_records(engine: Engine, source_ref: str | None, cursor: str | None) -> Flow[Page[SourceRecord]]:
    return page_of(engine, "/v1/records", Items[SourceRecord], cursor, {"source_ref": source_ref})


def correct(engine: Engine, record_id: str, correction: Correction) -> Flow[SourceRecord]:
    response = yield from engine.call("POST", f"/v1/records/{segment(record_id)}/corrections", body=correction)
    return read(response, Data[SourceRecord]).data


def withdraw(engine: Engine, record_id: str) -> Flow[None]:
    yield from engine.call("POST", f"/v1/records/{segment(record_id)}/withdrawals")


def repair(
    engine: Engine, subject: Subject | str, record_types: Sequence[str], records: Sequence[RepairedRecord]
) -> Flow[Repaired]:
    named = Subject(identifier=subject) if isinstance(subject, str) else subject
    body: dict[str, Any] = {"subject": named.identifier, "record_types": record_types, "records": records}
    if named.kind is not None:
        body["subject_kind"] = named.kind
    return read((yield from engine.call("POST", "/v1/records/repairs", body=body)), Data[Repaired]).data


def disputes(engine: Engine, state: str | None, cursor: str | None) -> Flow[Page[Dispute]]:
    return page_of(engine, "/v1/disputes", Items[Dispute], cursor, {"state": state})


def answer(engine: Engine, dispute_id: str, outcome: str, text: str, correction: Correction | None) -> Flow[Dispute]:
    body: dict[str, Any] = {"outcome": outcome, "answer": text}
    if correction is not None:
        body["correction"] = correction
    response = yield from engine.call("POST", f"/v1/disputes/{segment(dispute_id)}/answers", body=body)
    return read(response, Data[Dispute]).data
