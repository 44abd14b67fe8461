"""``/v1/record-batches``: what sources send over HTTP."""

import tempfile
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from ..catalogue.model import Fault
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id
from ..settings import Settings
from ..subjects.model import IdentifierProblem
from ..web.envelope import Envelope
from ..web.principal import Principal, Scope, requires
from ..web.problem import problems
from ..web.rates import OPTION, Limit
from ..web.uploads import IDEMPOTENCY_KEY_PATTERN, format_of, receive
from .imports import RecordImports
from .model import RecordBatch, RowProblem, RowVerdict
from .rows import Format

MEDIA_TYPES: Final = {"application/x-ndjson": Format.NDJSON, "text/csv": Format.CSV}

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="idempotency-key",
        min_length=1,
        max_length=255,
        pattern=IDEMPOTENCY_KEY_PATTERN,
        description="The same key with the same body is the same batch: after an interruption it goes on.",
    ),
]
BatchId = Annotated[str, PathParameter(max_length=64, description="The batch.")]


class BatchState(StrEnum):
    """How far a batch is."""

    IMPORTING = "importing"
    """Under way, or interrupted: send it again with the same idempotency key, and it goes on."""
    FINISHED = "finished"


class RowCounts(Struct, frozen=True):
    """What became of the rows so far."""

    accepted: Annotated[int, Meta(ge=0, description="New.", examples=[480])]
    updated: Annotated[int, Meta(ge=0, description="Newer observations of facts that were there.", examples=[15])]
    unchanged: Annotated[int, Meta(ge=0, description="There already, exactly so.", examples=[3])]
    superseded: Annotated[int, Meta(ge=0, description="Older than what is there: nothing changed.", examples=[1])]
    rejected: Annotated[int, Meta(ge=0, description="Not stored; the batch's errors say why.", examples=[1])]


class BatchView(Struct, frozen=True, kw_only=True):
    """One upload of records."""

    id: Annotated[str, Meta(description="The batch.", examples=["rbt_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    state: Annotated[BatchState, Meta(description="Whether all of it was read.")]
    format: Annotated[Format, Meta(description="How the body was written.")]
    lines: Annotated[int, Meta(ge=0, description="Lines read, blank ones and a header included.", examples=[500])]
    rows: RowCounts
    created_at: Annotated[datetime, Meta(tz=True, description="When it was first sent.")]
    finished_at: Annotated[datetime, Meta(tz=True, description="When the last line was read.")] | None


_ROW_CODES: Final = sorted(code.value for codes in (RowProblem, Fault, IdentifierProblem) for code in codes)


class RowError(Struct, frozen=True):
    """Why one row was rejected. Never holds a value or an identifier."""

    line: Annotated[int, Meta(ge=1, description="The line of the body, from 1.", examples=[17])]
    code: Annotated[
        str,
        Meta(description="A stable code.", examples=["out_of_range"], extra_json_schema={"enum": _ROW_CODES}),
    ]
    member: (
        Annotated[str, Meta(description="The member to blame, if one is.", examples=["fields.months"])] | UnsetType
    ) = UNSET


_NDJSON_EXAMPLE: Final = (
    '{"subject":"91990001MA0000001R","record_type":"SOCINS_PAID","source_ref":"2026-10-000017","region":"990001",'
    '"observed_at":"2026-10-28","fields":{"months":24,"as_of":"2026-09-30"}}\n'
)
_CSV_EXAMPLE: Final = (
    "subject,record_type,source_ref,region,observed_at,fields.months,fields.as_of\n"
    "91990001MA0000001R,SOCINS_PAID,2026-10-000017,990001,2026-10-28,24,2026-09-30\n"
)


@dataclass
class _Upload(Operation):
    """The body is read as a stream, so the document says by hand what it holds."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING)
        self.request_body = RequestBody(
            required=True,
            description="Rows, one a line.",
            content={
                "application/x-ndjson": OpenAPIMediaType(
                    schema=text, examples={"row": Example(summary="One row", value=_NDJSON_EXAMPLE)}
                ),
                "text/csv": OpenAPIMediaType(
                    schema=text, examples={"row": Example(summary="A header and one row", value=_CSV_EXAMPLE)}
                ),
            },
        )


class RecordBatchController(Controller):
    """Uploads of records, for sources."""

    path = "/v1/record-batches"
    tags = ("Records",)
    guards = (requires(Scope.RECORDS),)

    @post(
        operation_id="createRecordBatch",
        summary="Send records",
        opt={OPTION: Limit.UPLOADS},
        status_code=201,
        request_max_body_size=None,  # the setting `upload_limit` takes its place
        operation_class=_Upload,
        responses=problems(Code.PARTNER_SUSPENDED, Code.WRONG_STATE, Code.IDEMPOTENCY_KEY_REUSED, Code.UNAVAILABLE),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        principal: NamedDependency[Principal],
        imports: NamedDependency[RecordImports],
        settings: NamedDependency[Settings],
        idempotency_key: IdempotencyKey,
    ) -> Envelope[BatchView]:
        """Imports the body row by row, as NDJSON or CSV, and answers when the last row is settled.

        A bad row is rejected with a code and stops no other. Sending a row again changes nothing; a newer observation
        under the same `source_ref` takes the place of the older one. Whatever interrupts an upload, the same body with
        the same `idempotency-key` goes on where it stopped; another body with that key is refused.
        """
        source_id = principal.source
        format_ = format_of(request, MEDIA_TYPES)
        with tempfile.TemporaryFile() as body:
            digest = await receive(request, body, limit=settings.upload_limit, label=f"record-batches {format_.value}")
            batch = await imports.open_once(source_id, format_, digest, idempotency_key)
            return _envelope(await imports.run(batch, body))

    @get(
        "/{batch_id:str}",
        operation_id="getRecordBatch",
        summary="See what became of an upload",
        responses=problems(Code.UNAVAILABLE),
    )
    async def read(
        self, batch_id: BatchId, principal: NamedDependency[Principal], imports: NamedDependency[RecordImports]
    ) -> Envelope[BatchView]:
        """Gives the counts so far. Another source's batch is as unknown as one that doesn't exist."""
        return _envelope(await _own(batch_id, principal, imports))

    @get(
        "/{batch_id:str}/errors",
        operation_id="listRecordBatchErrors",
        summary="See which rows were rejected",
        responses=problems(Code.UNAVAILABLE),
    )
    async def errors(
        self,
        batch_id: BatchId,
        principal: NamedDependency[Principal],
        imports: NamedDependency[RecordImports],
        limit: Annotated[int, QueryParameter(ge=1, le=1000, description="The most rows to give.")] = 100,
        cursor: Annotated[
            str | None,
            QueryParameter(
                pattern=r"^[0-9]{1,9}$", required=False, description="`meta.next_cursor` of the page before."
            ),
        ] = None,
    ) -> Envelope[list[RowError]]:
        """Gives the rejected rows in the order of their lines: line, member and code, never a value."""
        batch = await _own(batch_id, principal, imports)
        found = await imports.rejections(batch.id, after_line=int(cursor or 0), limit=limit + 1)
        page, more = found[:limit], found[limit:]
        next_cursor = str(page[-1].line) if more else None
        address = f"{RecordBatchController.path}/{batch.id}/errors"
        links = {"next": f"{address}?limit={limit}&cursor={next_cursor}"} if more else {}
        return Envelope(
            [_error(each) for each in page], links=links or UNSET, meta={"limit": limit, "next_cursor": next_cursor}
        )


async def _own(batch_id: str, principal: Principal, imports: RecordImports) -> RecordBatch:
    if not is_id("rbt", batch_id):
        raise XinyiError(Code.NOT_FOUND)
    return await imports.batch(principal.source, batch_id)


def _envelope(batch: RecordBatch) -> Envelope[BatchView]:
    address = f"{RecordBatchController.path}/{batch.id}"
    view = BatchView(
        id=batch.id,
        state=BatchState.FINISHED if batch.finished else BatchState.IMPORTING,
        format=Format(batch.format),
        lines=batch.lines,
        rows=RowCounts(batch.accepted, batch.updated, batch.unchanged, batch.superseded, batch.rejected),
        created_at=batch.created_at,
        finished_at=batch.finished_at,
    )
    return Envelope(view, links={"self": address, "errors": f"{address}/errors"})


def _error(verdict: RowVerdict) -> RowError:
    assert verdict.code is not None, "a rejected row has a code"
    return RowError(verdict.line, verdict.code, UNSET if verdict.member is None else verdict.member)
