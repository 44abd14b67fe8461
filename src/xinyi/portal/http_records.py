"""``/v1/me``, the subject's records: see them, contest them, keep them off or from a scenario."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct

from ..kernel.errors import Code
from ..records.disputes import MAX_WORDS, DisputeService
from ..records.model import Withholding
from ..records.service import RecordService
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..web.envelope import Envelope
from ..web.problem import problems
from ..web.session import SubjectSession
from .guards import DEPENDENCIES, GUARDS, OF_BODY, OF_CHANGE, OF_READ, SECURITY
from .model import MyDispute, MyRecord
from .service import PortalService

RecordId = Annotated[str, PathParameter(description="The record's id.")]
_NAME = Meta(min_length=1, max_length=64)


class WithholdingBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A record type that the subject keeps from a scenario."""

    scenario: Annotated[str, _NAME, Meta(description="The scenario's id.", examples=["bike-deposit"])]
    record_type: Annotated[str, _NAME, Meta(description="The record type's code.", examples=["SOCINS_PAID"])]


class RecordRef(Struct, frozen=True, forbid_unknown_fields=True):
    """One of the subject's records."""

    record_id: Annotated[
        str,
        Meta(
            max_length=64,
            pattern=r"^[a-z0-9_]+$",
            description="The record's id.",
            examples=["rec_01kb0x4m9v5w8q2r7s3t6y1zab"],
        ),
    ]


class NewDispute(RecordRef, frozen=True, forbid_unknown_fields=True):
    """What is wrong with one of the subject's records."""

    statement: (
        Annotated[
            str,
            Meta(
                max_length=MAX_WORDS,
                description="What is wrong, for the source to read; without identifiers.",
                examples=["漏记了2026年9月。"],
            ),
        ]
        | None
    ) = None


class MyRecordController(Controller):
    """The subject's own records."""

    path = "/v1/me"
    tags = ("Subject",)
    guards = GUARDS
    dependencies = DEPENDENCIES
    security = SECURITY

    @get("/records", operation_id="listMyRecords", summary="My records", responses=problems(*OF_READ))
    async def records_of_mine(
        self, session: NamedDependency[SubjectSession], portal: NamedDependency[PortalService]
    ) -> Envelope[list[MyRecord]]:
        """Everything that is recorded about the subject, with its source, newest observation first."""
        return Envelope(await portal.records(session.subject_id))

    @get("/withholdings", operation_id="listMyWithholdings", summary="What I withhold", responses=problems(*OF_READ))
    async def withholdings(
        self,
        session: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
    ) -> Envelope[list[WithholdingBody]]:
        """The record types that the subject keeps from scenarios."""
        async with database.read() as tx:
            found = await records.withholdings_of(tx, session.subject_id)
        return Envelope([_body(withholding) for withholding in found])

    @post(
        "/withholdings",
        status_code=200,
        operation_id="withholdMyRecords",
        summary="Withhold a record type from a scenario",
        responses=problems(*OF_CHANGE, *OF_BODY),
    )
    async def withhold(
        self,
        data: JSONBody[WithholdingBody],
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
        scenarios: NamedDependency[Registry],
    ) -> Envelope[WithholdingBody]:
        """From now on records of this type look absent to this scenario, whether or not there are any."""
        scenario = scenarios.get(data.scenario)
        async with database.transaction() as tx:
            await records.withhold(tx, actor.subject_id, scenario.id, data.record_type)
        return Envelope(data)

    @delete(
        "/withholdings/{scenario:str}/{record_type:str}",
        status_code=204,
        operation_id="unwithholdMyRecords",
        summary="Take a withholding back",
        responses=problems(Code.SESSION_REQUIRED, Code.CSRF),
    )
    async def unwithhold(
        self,
        scenario: Annotated[str, PathParameter(description="The scenario's id.")],
        record_type: Annotated[str, PathParameter(description="The record type's code.")],
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
    ) -> None:
        """Records of this type count for this scenario again. Without a withholding nothing changes."""
        async with database.transaction() as tx:
            await records.unwithhold(tx, actor.subject_id, scenario, record_type)

    @post(
        "/suppressions",
        status_code=204,
        operation_id="suppressMyRecord",
        summary="Keep an honour off the record",
        responses=problems(*OF_CHANGE, Code.WRONG_STATE, *OF_BODY),
    )
    async def suppress(
        self,
        data: JSONBody[RecordRef],
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
    ) -> None:
        """The record counts for no scenario, as if there were none, until the subject takes it back.

        That holds for the fact: the same, sent again under another number or by another source, is kept off as well.
        """
        async with database.transaction() as tx:
            await records.suppress(tx, actor.subject_id, data.record_id)

    @delete(
        "/suppressions/{record_id:str}",
        status_code=204,
        operation_id="unsuppressMyRecord",
        summary="Let a record count again",
        responses=problems(*OF_CHANGE),
    )
    async def unsuppress(
        self,
        record_id: RecordId,
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
    ) -> None:
        """Undoes a suppression, for the record and whatever else tells the same fact."""
        async with database.transaction() as tx:
            await records.unsuppress(tx, actor.subject_id, record_id)

    @get("/disputes", operation_id="listMyDisputes", summary="What I contest", responses=problems(*OF_READ))
    async def disputes_of_mine(
        self, session: NamedDependency[SubjectSession], portal: NamedDependency[PortalService]
    ) -> Envelope[list[MyDispute]]:
        """Everything that the subject contests or contested, newest first, with the answers."""
        return Envelope(await portal.disputes(session.subject_id))

    @post(
        "/disputes",
        status_code=201,
        operation_id="disputeMyRecord",
        summary="Contest a record",
        responses=problems(*OF_CHANGE, *OF_BODY),
    )
    async def dispute(
        self,
        data: JSONBody[NewDispute],
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        disputes: NamedDependency[DisputeService],
        portal: NamedDependency[PortalService],
    ) -> Envelope[MyDispute]:
        """The record stops to count at once; nothing outside shows that it was contested.

        Its source has to answer by `due_at`. A record that is contested already keeps its dispute.
        """
        async with database.transaction() as tx:
            dispute = await disputes.open(tx, actor.subject_id, data.record_id, data.statement)
        return Envelope(await portal.dispute(dispute))

    @delete(
        "/disputes/{dispute_id:str}",
        status_code=204,
        operation_id="takeMyDisputeBack",
        summary="Contest a record no more",
        responses=problems(*OF_CHANGE, Code.WRONG_STATE),
    )
    async def take_back(
        self,
        dispute_id: Annotated[str, PathParameter(max_length=64, description="The dispute's id.")],
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        disputes: NamedDependency[DisputeService],
    ) -> None:
        """The record counts again. Doing it again changes nothing."""
        async with database.transaction() as tx:
            await disputes.take_back(tx, actor.subject_id, dispute_id)


def _body(withholding: Withholding) -> WithholdingBody:
    return WithholdingBody(withholding.scenario_id, withholding.record_type)
