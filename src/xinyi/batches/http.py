"""``/v1/check-batches``."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Reference,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from litestar.response import Stream
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ..checks.model import Answer, Refused
from ..checks.model import Reference as CaseReference
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id
from ..settings import Settings
from ..web.envelope import Envelope
from ..web.principal import Principal, Scope, requires
from ..web.problem import Problem, problem_of, problems
from ..web.rates import OPTION, Limit
from ..web.uploads import IDEMPOTENCY_KEY_PATTERN, format_of, receive
from .model import MAX_ITEMS, BatchFormat, CheckBatch, CheckBatchState, ItemResult
from .reading import read_items
from .service import BatchService
from .worker import BatchWorker

PATH: Final = "/v1/check-batches"
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
MEDIA_TYPES: Final = {JSON: BatchFormat.JSON, NDJSON: BatchFormat.NDJSON, "text/csv": BatchFormat.CSV}
BLOCK: Final = 256
"""Items of a stream that are read together."""

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="idempotency-key",
        min_length=1,
        max_length=255,
        pattern=IDEMPOTENCY_KEY_PATTERN,
        description="The same key with the same body is the same batch, which is done once.",
    ),
]
BatchId = Annotated[str, PathParameter(max_length=64, description="The batch.")]
Cursor = Annotated[
    str | None,
    QueryParameter(
        pattern=r"^[0-9]{1,9}$",
        required=False,
        description="`meta.next_cursor` of the page before, or the number of the last item that you have.",
    ),
]


class CheckBatchOutcomes(Struct, frozen=True):
    """The answers by outcome, without those that aren't given again: withdrawn or paused, or past their time."""

    met: Annotated[int, Meta(ge=0, description="The scenario's rule is met.", examples=[61204])]
    not_evidenced: Annotated[int, Meta(ge=0, description="It isn't evidenced.", examples=[38102])]


class CheckBatchView(Struct, frozen=True, kw_only=True):
    """A batch of checks and how far it is."""

    id: Annotated[str, Meta(description="The batch.", examples=["cbt_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    state: Annotated[CheckBatchState, Meta(description="How far it is.")]
    total: Annotated[int, Meta(ge=1, description="Its items.", examples=[100000])]
    waiting: Annotated[int, Meta(ge=0, description="Items that wait for their turn.", examples=[0])]
    answered: Annotated[int, Meta(ge=0, description="Items that were answered.", examples=[99400])]
    refused: Annotated[int, Meta(ge=0, description="Items that were refused.", examples=[600])]
    outcomes: CheckBatchOutcomes | None
    created_at: Annotated[datetime, Meta(tz=True, description="When it was sent.")]
    started_at: Annotated[datetime, Meta(tz=True, description="When its first item was done.")] | None
    finished_at: Annotated[datetime, Meta(tz=True, description="When its last item was done.")] | None


class BatchItemView(Struct, frozen=True, kw_only=True):
    """One item: either ``data`` and ``receipt``, as a call would have been answered, or the ``problem``."""

    number: Annotated[int, Meta(ge=1, description="Its place in the batch, from 1.", examples=[17])]
    consent_id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    reference: CaseReference
    data: Answer | UnsetType = UNSET
    receipt: Annotated[str, Meta(description="The check's receipt.")] | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


_ITEM: Final = Reference(ref="#/components/schemas/CheckRequest")
_LINE: Final = {
    "scenario": "microloan-prescreen",
    "consent_id": "cns_01kb0x4m9v5w8q2r7s3t6y1zab",
    "reference": "LOAN-2026-000123",
}


@dataclass
class _Upload(Operation):
    """The body is read as a stream, so the document says by hand what it holds."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING)
        whole = Schema(
            type=OpenAPIType.OBJECT,
            required=["items"],
            properties={"items": Schema(type=OpenAPIType.ARRAY, items=_ITEM, min_items=1, max_items=MAX_ITEMS)},
            additional_properties=False,
        )
        ndjson = msgspec.json.encode(_LINE).decode() + "\n"
        table = f"{','.join(_LINE)}\n{','.join(_LINE.values())}\n"
        self.request_body = RequestBody(
            required=True,
            description="The questions.",
            content={
                JSON: OpenAPIMediaType(
                    schema=whole, examples={"batch": Example(summary="One document", value={"items": [_LINE]})}
                ),
                NDJSON: OpenAPIMediaType(
                    schema=text, examples={"line": Example(summary="One item a line", value=ndjson)}
                ),
                "text/csv": OpenAPIMediaType(
                    schema=text, examples={"table": Example(summary="A header and one item a line", value=table)}
                ),
            },
        )


@dataclass
class _Download(Operation):
    """The answer is JSON or, when asked for, one item a line."""

    def __post_init__(self) -> None:
        answer = (self.responses or {})["200"]
        assert isinstance(answer, OpenAPIResponse)
        assert answer.content is not None
        refused = {"number": 17, "consent_id": _LINE["consent_id"], "reference": _LINE["reference"]}
        problem = problem_of(XinyiError(Code.CONSENT_WITHDRAWN), "/v1/checks/chk_01kb0x4m9v5w8q2r7s3t6y1zab")
        line = msgspec.json.encode({**refused, "problem": problem}).decode() + "\n"
        answer.content[NDJSON] = OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.STRING, description="One `BatchItemView` a line."),
            examples={"line": Example(summary="An item that was refused", value=line)},
        )


class CheckBatchController(Controller):
    """Many checks as one job."""

    path = PATH
    tags = ("Checks",)
    guards = (requires(Scope.CHECKS),)

    @post(
        operation_id="createCheckBatch",
        summary="Check many subjects as one job",
        opt={OPTION: Limit.UPLOADS},
        status_code=202,
        request_max_body_size=None,  # the setting `upload_limit` takes its place
        operation_class=_Upload,
        responses=problems(Code.IDEMPOTENCY_KEY_REUSED, Code.UNAVAILABLE),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        principal: NamedDependency[Principal],
        batches: NamedDependency[BatchService],
        batch_worker: NamedDependency[BatchWorker],
        settings: NamedDependency[Settings],
        idempotency_key: IdempotencyKey,
    ) -> Response[Envelope[CheckBatchView]]:
        """Takes up to 100,000 questions, as one JSON document, as NDJSON or as CSV, and answers them in the background.

        Each item is answered or refused as a call of `POST /v1/checks` at that moment would be, once, whatever happens
        to the server. A batch is taken in whole or not at all: when any item is malformed, nothing is stored, and
        `errors` lists the first hundred: number, line, member and code, never a value.
        """
        partner_id = principal.partner
        format_ = format_of(request, MEDIA_TYPES)
        with tempfile.TemporaryFile() as body:
            digest = await receive(request, body, limit=settings.upload_limit, label=f"check-batches {format_.value}")
            items = await asyncio.to_thread(read_items, body, format_)
        batch = await batches.submit(
            items,
            partner_id=partner_id,
            client_id=principal.client_id,
            consent_id=principal.consent_id,
            digest=digest,
            key=idempotency_key,
        )
        batch_worker.wake()
        return Response(await _envelope(batch, batches, principal), headers={"location": f"{PATH}/{batch.id}"})

    @get(
        "/{batch_id:str}",
        operation_id="getCheckBatch",
        summary="See how far a batch is",
        responses=problems(Code.UNAVAILABLE),
    )
    async def read(
        self, batch_id: BatchId, principal: NamedDependency[Principal], batches: NamedDependency[BatchService]
    ) -> Envelope[CheckBatchView]:
        """Gives the counts so far, and the outcomes once it is finished.

        Another's batch is as one that isn't there, and so is one whose answers are all past their time.
        """
        return await _envelope(await _own(batch_id, principal, batches), batches, principal)

    @get(
        "/{batch_id:str}/items",
        operation_id="listCheckBatchItems",
        summary="Get what became of the items",
        operation_class=_Download,
        responses=problems(Code.UNAVAILABLE),
    )
    async def items(
        self,
        batch_id: BatchId,
        request: Request[Any, Any, Any],
        principal: NamedDependency[Principal],
        batches: NamedDependency[BatchService],
        limit: Annotated[
            int, QueryParameter(ge=1, le=1000, description="The most items of a page; a stream has no pages.")
        ] = 100,
        cursor: Cursor = None,
    ) -> Response[Envelope[list[BatchItemView]]]:
        """Gives the items that are done, in their order, while the batch runs as well.

        A page's `next_cursor` is null once the last item of the batch was given; until then it may be asked for again.
        With `Accept: application/x-ndjson` all items that are done come as one stream, one a line; after an
        interruption `cursor` goes on behind the last number that arrived. Items whose consent was withdrawn or paused
        since are refused with `consent_withdrawn` or `consent_paused`.
        """
        batch = await _own(batch_id, principal, batches)
        after = int(cursor or 0)
        if request.accept.best_match([JSON, NDJSON]) == NDJSON:
            return Stream(_stream(batch.id, after, batches, principal), media_type=NDJSON)  # type: ignore[return-value] # ASGI's own
        batch, found = await batches.results(batch.id, client_id=principal.client_id, after=after, limit=limit)
        last = found[-1].item.number if found else min(after, batch.total)
        next_cursor = str(last) if last < batch.total else None
        links = {} if next_cursor is None else {"next": f"{PATH}/{batch.id}/items?limit={limit}&cursor={next_cursor}"}
        page = Envelope(
            [Raw(_told(batch.id, each)) for each in found],
            links=links or UNSET,
            meta={"limit": limit, "next_cursor": next_cursor},
        )
        return Response(msgspec.json.encode(page), media_type=JSON)  # type: ignore[arg-type] # the bytes of the envelope


async def _own(batch_id: str, principal: Principal, batches: BatchService) -> CheckBatch:
    if not is_id("cbt", batch_id):
        raise XinyiError(Code.NOT_FOUND)
    return await batches.get(batch_id, partner_id=principal.partner, consent_id=principal.consent_id)


async def _envelope(batch: CheckBatch, batches: BatchService, principal: Principal) -> Envelope[CheckBatchView]:
    outcomes = None
    if batch.state is CheckBatchState.FINISHED:
        counts = await batches.outcomes(batch, client_id=principal.client_id)
        outcomes = CheckBatchOutcomes(counts.get("met", 0), counts.get("not_evidenced", 0))
    view = CheckBatchView(
        id=batch.id,
        state=batch.state,
        total=batch.total,
        waiting=batch.waiting,
        answered=batch.answered,
        refused=batch.refused,
        outcomes=outcomes,
        created_at=batch.created_at,
        started_at=batch.started_at,
        finished_at=batch.finished_at,
    )
    address = f"{PATH}/{batch.id}"
    return Envelope(view, links={"self": address, "items": f"{address}/items"})


async def _stream(batch_id: str, after: int, batches: BatchService, principal: Principal) -> AsyncGenerator[bytes]:
    """Each block is read anew: what is withdrawn while the stream runs isn't given any more."""
    while True:
        _, found = await batches.results(batch_id, client_id=principal.client_id, after=after, limit=BLOCK)
        if not found:
            return
        yield b"".join(_told(batch_id, each) + b"\n" for each in found)
        after = found[-1].item.number


class _Head(Struct, frozen=True):
    number: int
    consent_id: str
    reference: str


def _told(batch_id: str, each: ItemResult) -> bytes:
    """An item as JSON, an answer's stored bytes as they are."""
    item, result = each.item, each.result
    head = msgspec.json.encode(_Head(item.number, item.request.consent_id, item.request.reference))
    if isinstance(result, Refused):
        instance = f"{PATH}/{batch_id}#{item.number}" if result.check_id is None else f"/v1/checks/{result.check_id}"
        problem = problem_of(XinyiError(result.code, source=result.source), instance)
        rest = b'"problem":' + msgspec.json.encode(problem) + b"}"
    else:
        rest = result.body[1:]
    return head[:-1] + b"," + rest
