"""What sources do over HTTP: send records (``/v1/record-batches``), put them right, answer who contests them."""

import tempfile
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from ..catalogue.model import Fault
from ..kernel.canonical import b64url, unb64url
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id
from ..settings import Settings
from ..storage.database import Database
from ..subjects.model import IdentifierProblem, SubjectKind
from ..subjects.service import SubjectService
from ..web.envelope import Envelope
from ..web.principal import Principal, Scope, requires
from ..web.problem import problems
from ..web.rates import OPTION, Limit
from ..web.uploads import IDEMPOTENCY_KEY_PATTERN, format_of, receive
from .amendments import Amendments, Correction, Repaired, RepairedRecord
from .disputes import MAX_WORDS, DisputeService
from .imports import RecordImports
from .model import Dispute, DisputeState, RecordBatch, RowProblem, RowVerdict, Settler, StoredRecord
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
RecordId = Annotated[str, PathParameter(max_length=64, description="The record.")]
T = TypeVar("T")
_EXAMPLE_USCC: Final = "91990001MA0000001R"


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
        """Gives the rejected rows in the order of their lines: line, member and code, never a value.

        For 90 days after the upload was finished; then there are none of it to be found, and only its counts are left.
        """
        batch = await _own(batch_id, principal, imports)
        found = await imports.rejections(batch, after_line=int(cursor or 0), limit=limit + 1)
        page, more = found[:limit], found[limit:]
        next_cursor = str(page[-1].line) if more else None
        address = f"{RecordBatchController.path}/{batch.id}/errors"
        links = {"next": f"{address}?limit={limit}&cursor={next_cursor}"} if more else {}
        return Envelope(
            [_error(each) for each in page], links=links or UNSET, meta={"limit": limit, "next_cursor": next_cursor}
        )


class SourceRecord(Struct, frozen=True, kw_only=True):
    """A record as its own source sees it: what it sent, and nothing of what the subject says about it."""

    id: Annotated[str, Meta(description="The record.", examples=["rec_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    record_type: Annotated[str, Meta(description="The record type's code.", examples=["SOCINS_PAID"])]
    source_ref: Annotated[str, Meta(description="The source's own number for it.", examples=["2026-10-000017"])]
    region: Annotated[str, Meta(description="The region, by GB/T 2260.", examples=["990001"])]
    observed_at: Annotated[datetime, Meta(tz=True, description="When the source observed it.")]
    valid_until: Annotated[datetime, Meta(tz=True, description="When it stops to count by itself.")] | None
    fields: Annotated[
        dict[str, str | int | bool],
        Meta(description="The facts, as the record type names them.", examples=[{"months": 24, "as_of": "2026-09-30"}]),
    ]


class RepairNotice(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """That a subject's credit was repaired (信用修复) at this source."""

    subject: Annotated[
        str,
        Meta(max_length=64, description="The subject's identifier: a USCC or a resident id.", examples=[_EXAMPLE_USCC]),
    ]
    subject_kind: Annotated[SubjectKind | None, Meta(description="The kind, where the identifier leaves it open.")] = (
        None
    )
    record_types: Annotated[
        tuple[Annotated[str, Meta(max_length=64)], ...],
        Meta(
            min_length=1,
            max_length=64,
            description="What the source had sent of these types about the subject is dropped.",
            examples=[["SOCINS_PAID"]],
        ),
    ]
    records: Annotated[
        tuple[RepairedRecord, ...], Meta(max_length=500, description="What counts instead, from now on.")
    ] = ()


class AnswerOutcome(StrEnum):
    """How a dispute is answered."""

    UPHELD = "upheld"
    """The record stands as it is."""
    CORRECTED = "corrected"
    """It is put right, as `correction` says."""
    WITHDRAWN = "withdrawn"
    """It is taken back."""


class DisputeAnswer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of looking into a contested record."""

    outcome: Annotated[AnswerOutcome, Meta(description="What happens to the record.", examples=["upheld"])]
    answer: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_WORDS,
            description="What the subject is told.",
            examples=["经核对缴费台账，记录无误。"],
        ),
    ]
    correction: Annotated[Correction | None, Meta(description="With `corrected` alone: what the record says now.")] = (
        None
    )


class DisputeView(Struct, frozen=True, kw_only=True):
    """A contested record, as its source sees it."""

    id: Annotated[str, Meta(description="The dispute.", examples=["dsp_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    state: Annotated[DisputeState, Meta(description="How it stands.")]
    record_id: Annotated[str, Meta(description="The record.", examples=["rec_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    record_type: Annotated[str, Meta(description="Its type's code.", examples=["SOCINS_PAID"])]
    source_ref: Annotated[str, Meta(description="The source's own number for it.", examples=["2026-10-000017"])]
    statement: (
        Annotated[str, Meta(description="What the subject says is wrong.", examples=["漏记了2026年9月。"])] | None
    )
    opened_at: Annotated[datetime, Meta(tz=True, description="When it was contested.")]
    due_at: Annotated[datetime, Meta(tz=True, description="The end of the last working day for an answer.")]
    settled_at: Annotated[datetime, Meta(tz=True, description="When it was settled.")] | None
    settled_by: Annotated[Settler, Meta(description="Who settled it.")] | None
    answer: Annotated[str, Meta(description="What the subject was told.", examples=["已补记。"])] | None


_OF_BODY: Final = (Code.MALFORMED, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE, Code.INVALID)
Limited = Annotated[int, QueryParameter(ge=1, le=200, description="The most to give.")]


class RecordController(Controller):
    """A source's own records, one by one."""

    path = "/v1/records"
    tags = ("Records",)
    guards = (requires(Scope.RECORDS),)

    @get(operation_id="listRecords", summary="Find the records that I sent", responses=problems(Code.UNAVAILABLE))
    async def list_own(
        self,
        principal: NamedDependency[Principal],
        database: NamedDependency[Database],
        amendments: NamedDependency[Amendments],
        source_ref: Annotated[
            str | None,
            QueryParameter(max_length=128, required=False, description="Only the record with this number of mine."),
        ] = None,
        limit: Limited = 50,
        cursor: Annotated[
            str | None,
            QueryParameter(max_length=256, required=False, description="`meta.next_cursor` of the page before."),
        ] = None,
    ) -> Envelope[list[SourceRecord]]:
        """The source's own records, in the order of their `source_ref`; a record's id is what changes it."""
        async with database.read() as tx:
            found = await amendments.listed(
                tx, principal.source, source_ref=source_ref, after=_text_of(cursor), limit=limit + 1
            )
        page, more = found[:limit], found[limit:]
        return _paged(
            [_source_record(record) for record in page],
            RecordController.path,
            limit,
            b64url(page[-1].source_ref.encode()) if more else None,
        )

    @post(
        "/{record_id:str}/corrections",
        status_code=200,
        operation_id="correctRecord",
        summary="Put a record right",
        responses=problems(*_OF_BODY, Code.NOT_FOUND, Code.WRONG_STATE, Code.UNAVAILABLE),
    )
    async def correct(
        self,
        record_id: RecordId,
        data: JSONBody[Correction],
        principal: NamedDependency[Principal],
        database: NamedDependency[Database],
        amendments: NamedDependency[Amendments],
    ) -> Envelope[SourceRecord]:
        """The record says this from now on, and the next check sees it. An open dispute about it is settled by that.

        Another source's record is as unknown as one that doesn't exist. No partner hears of it.
        """
        async with database.transaction() as tx:
            return Envelope(_source_record(await amendments.correct(tx, principal.source, record_id, data)))

    @post(
        "/{record_id:str}/withdrawals",
        status_code=204,
        operation_id="withdrawRecord",
        summary="Take a record back",
        responses=problems(Code.NOT_FOUND, Code.UNAVAILABLE),
    )
    async def withdraw(
        self,
        record_id: RecordId,
        principal: NamedDependency[Principal],
        database: NamedDependency[Database],
        amendments: NamedDependency[Amendments],
    ) -> None:
        """The record is gone: nothing says afterwards that it was there, and no partner hears of it."""
        async with database.transaction() as tx:
            await amendments.withdraw(tx, principal.source, record_id)

    @post(
        "/repairs",
        status_code=200,
        operation_id="repairRecords",
        summary="Tell that a subject's credit was repaired",
        responses=problems(*_OF_BODY, Code.UNAVAILABLE),
    )
    async def repair(
        self,
        data: JSONBody[RepairNotice],
        principal: NamedDependency[Principal],
        database: NamedDependency[Database],
        subjects: NamedDependency[SubjectService],
        amendments: NamedDependency[Amendments],
    ) -> Envelope[Repaired]:
        """What the source had sent of these types about the subject is dropped; what comes along counts from now on.

        The next check sees it. The notice itself is kept nowhere, and no partner hears of it. Sending it again changes
        nothing. A subject that isn't known is answered alike.
        """
        identifier = subjects.parse(data.subject, data.subject_kind)
        async with database.transaction() as tx:
            return Envelope(await amendments.repair(tx, principal.source, identifier, data.record_types, data.records))


class DisputeController(Controller):
    """Contested records, for the sources that sent them."""

    path = "/v1/disputes"
    tags = ("Records",)
    guards = (requires(Scope.RECORDS),)

    @get(operation_id="listDisputes", summary="See what is contested", responses=problems(Code.UNAVAILABLE))
    async def list_own(
        self,
        principal: NamedDependency[Principal],
        database: NamedDependency[Database],
        disputes: NamedDependency[DisputeService],
        wanted: Annotated[
            Literal["open", "any"],
            QueryParameter(name="state", required=False, description="Only what waits for an answer, or everything."),
        ] = "open",
        limit: Limited = 50,
        cursor: Annotated[
            str | None,
            QueryParameter(
                pattern="^dsp_[0-9a-z]{26}$", required=False, description="`meta.next_cursor` of the page before."
            ),
        ] = None,
    ) -> Envelope[list[DisputeView]]:
        """The disputes about the source's own records, oldest first. Each is to be answered by its `due_at`."""
        async with database.read() as tx:
            found = await disputes.of_source(
                tx, principal.source, only_open=wanted == "open", after=cursor or "", limit=limit + 1
            )
        page, more = found[:limit], found[limit:]
        path = f"{DisputeController.path}?state={wanted}"
        return _paged([_dispute(each) for each in page], path, limit, page[-1].id if more else None)

    @post(
        "/{dispute_id:str}/answers",
        status_code=200,
        operation_id="answerDispute",
        summary="Answer who contests a record",
        responses=problems(*_OF_BODY, Code.NOT_FOUND, Code.WRONG_STATE, Code.UNAVAILABLE),
    )
    async def answer(
        self,
        dispute_id: Annotated[str, PathParameter(max_length=64, description="The dispute.")],
        data: JSONBody[DisputeAnswer],
        principal: NamedDependency[Principal],
        database: NamedDependency[Database],
        disputes: NamedDependency[DisputeService],
    ) -> Envelope[DisputeView]:
        """Settles the dispute. The record counts again when it is upheld or corrected, and is gone when withdrawn."""
        async with database.transaction() as tx:
            dispute = await disputes.answer(
                tx,
                dispute_id,
                DisputeState(data.outcome.value),
                data.answer,
                by=Settler.SOURCE,
                source_id=principal.source,
                correction=data.correction,
            )
        return Envelope(_dispute(dispute))


def _source_record(record: StoredRecord) -> SourceRecord:
    return SourceRecord(**{name: getattr(record, name) for name in SourceRecord.__struct_fields__})


def _dispute(dispute: Dispute) -> DisputeView:
    return DisputeView(**{name: getattr(dispute, name) for name in DisputeView.__struct_fields__})


def _paged(items: list[T], path: str, limit: int, next_cursor: str | None) -> Envelope[list[T]]:
    glue = "&" if "?" in path else "?"
    links = {} if next_cursor is None else {"next": f"{path}{glue}limit={limit}&cursor={next_cursor}"}
    return Envelope(items, links=links or UNSET, meta={"limit": limit, "next_cursor": next_cursor})


def _text_of(cursor: str | None) -> str:
    try:
        return unb64url(cursor or "").decode()
    except ValueError:
        raise XinyiError(Code.INVALID, "not a cursor of this list", source="cursor") from None


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
