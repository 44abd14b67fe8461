"""Many checks as one job."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from .._engine import Engine, Upload
from .._flow import Flow, Page, pause
from .._journal import Journal, Output
from .._problems import read
from ..errors import error_class
from ..models.batches import Batch, BatchItem, Question
from .checks import AnswerData, told
from .common import Data, Items, page_of, segment
from .uploads import MEDIA_TYPES, upload_of

BATCHES: Final = "/v1/check-batches"
LOOK_AGAIN: Final = (0.5, 5.0)
"""Seconds between looks at a batch that runs: at first, and in the end."""


class _ItemData(Struct, frozen=True, kw_only=True):
    number: int
    consent_id: str
    reference: str
    data: AnswerData | None = None
    receipt: str = ""
    problem: dict[str, Any] | None = None


def submit(
    engine: Engine, items: Iterable[Question] | None, file: str | Path | None, idempotency_key: str | None
) -> Flow[Batch]:
    return post(engine, upload(items, file), idempotency_key)


def upload(items: Iterable[Question] | None, file: str | Path | None) -> Upload:
    """The questions as they are sent. Raises ``ValueError`` unless exactly one of the two is given."""
    if (items is None) == (file is None):
        raise ValueError("give either items or a file")
    if items is not None:
        return Upload(b"".join(msgspec.json.encode(item) + b"\n" for item in items), MEDIA_TYPES[".ndjson"])
    return upload_of(str(file))


def post(engine: Engine, body: Upload, idempotency_key: str | None) -> Flow[Batch]:
    response = yield from engine.call("POST", BATCHES, upload=body, idempotency_key=idempotency_key)
    return read(response, Data[Batch]).data


def get(engine: Engine, batch_id: str) -> Flow[Batch]:
    return read((yield from engine.call("GET", f"{BATCHES}/{segment(batch_id)}")), Data[Batch]).data


def run(
    engine: Engine,
    out: str | Path,
    items: Iterable[Question] | None,
    file: str | Path | None,
    progress: Callable[[int, int], object] | None,
) -> Flow[Batch]:
    body = upload(items, file)
    journal = Journal(out, body.content)
    if journal.batch_id is None:
        batch = yield from post(engine, body, journal.idempotency_key)
        journal.name(batch.id)
    else:
        batch = yield from get(engine, journal.batch_id)
    output = Output(journal.path)
    try:
        cursor: str | None = str(output.last)
        while cursor is not None:
            if progress is not None:
                progress(output.last, batch.total)
            page = yield from following(engine, batch.id, cursor)
            for item in page.items:
                output.write(item)
            output.flush()
            cursor = page.next
        if progress is not None:
            progress(output.last, batch.total)
    finally:
        output.close()
    return (yield from get(engine, batch.id))


def wait(engine: Engine, batch_id: str, progress: Callable[[Batch], object] | None) -> Flow[Batch]:
    seconds, longest = LOOK_AGAIN
    while True:
        batch = yield from get(engine, batch_id)
        if progress is not None:
            progress(batch)
        if batch.finished:
            return batch
        yield from pause(seconds)
        seconds = min(seconds * 1.5, longest)


def items(engine: Engine, batch_id: str, after: str | None) -> Flow[Page[BatchItem]]:
    """The next items that are done by now."""
    page = yield from _page(engine, batch_id, after)
    return Page(page.items, page.next if page.items else None)


def following(engine: Engine, batch_id: str, after: str | None) -> Flow[Page[BatchItem]]:
    """The next items, once there are some."""
    seconds, longest = LOOK_AGAIN
    while True:
        page = yield from _page(engine, batch_id, after)
        if page.items or page.next is None:
            return page
        yield from pause(seconds)
        seconds = min(seconds * 1.5, longest)


def _page(engine: Engine, batch_id: str, after: str | None) -> Flow[Page[BatchItem]]:
    found = yield from page_of(engine, f"{BATCHES}/{segment(batch_id)}/items", Items[_ItemData], after)
    done: list[BatchItem] = []
    for each in found.items:
        item = yield from _item(engine, each)
        done.append(item)
    return Page(tuple(done), found.next)


def _item(engine: Engine, each: _ItemData) -> Flow[BatchItem]:
    bare = BatchItem(number=each.number, consent_id=each.consent_id, reference=each.reference)
    if each.data is not None:
        answer = yield from told(engine, each.data, each.receipt)
        return msgspec.structs.replace(bare, answer=answer)
    problem = each.problem or {}
    code, status = problem.get("code"), problem.get("status")
    status = status if isinstance(status, int) else 0
    kind = error_class(code if isinstance(code, str) else None, status, problem.get("source"))
    return msgspec.structs.replace(bare, error=kind(problem, status))
