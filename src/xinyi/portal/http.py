"""``/v1/me``: a signed-in subject's own consents and records.

The caller is the portal's session cookie; what changes something also needs the session's ``x-csrf-token``, which
``GET /v1/me/session`` gives. Another subject's id is answered as one that doesn't exist.
"""

from typing import Annotated, Any, Final

from litestar import Controller, Request, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter, JSONBody, PathParameter
from msgspec import Meta, Struct

from ..consents.model import Party
from ..consents.service import ConsentService
from ..kernel.errors import Code
from ..kernel.text import Text
from ..records.disputes import DisputeService
from ..records.model import Withholding
from ..records.service import RecordService
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..subjects.model import SubjectKind
from ..web.envelope import Envelope
from ..web.problem import problems
from ..web.session import Sessions, SubjectSession, session_of, session_required
from .model import MyConsent, MyRecord
from .service import PortalService

CSRF_PURPOSE: Final = "me"

CsrfToken = Annotated[
    str | None,
    HeaderParameter(name="x-csrf-token", required=False, description="The token that `GET /v1/me/session` gives."),
]
ConsentId = Annotated[str, PathParameter(description="The consent's id.")]
RecordId = Annotated[str, PathParameter(description="The record's id.")]
_NAME = Meta(min_length=1, max_length=64)


class Me(Struct, frozen=True):
    """Who is signed in."""

    display_name: Annotated[Text, Meta(description="How the pages call the subject.")]
    kind: Annotated[SubjectKind, Meta(description="A person or an organisation.")]
    csrf: Annotated[str, Meta(description="What `x-csrf-token` must carry in this session.")]


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


async def signed_in(request: Request[Any, Any, Any]) -> SubjectSession:
    """The dependency ``session``, behind the guard."""
    return session_of(request)


async def acting(
    request: Request[Any, Any, Any], sessions: NamedDependency[Sessions], csrf_token: CsrfToken = None
) -> SubjectSession:
    """The dependency ``actor``, for what changes something. Raises ``XinyiError(CSRF)``."""
    session = session_of(request)
    sessions.check_csrf(session, CSRF_PURPOSE, csrf_token)
    return session


_READ = (Code.SESSION_REQUIRED,)
_CHANGE = (Code.SESSION_REQUIRED, Code.CSRF, Code.NOT_FOUND)
_BODY = (Code.MALFORMED, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE, Code.INVALID)


class MeController(Controller):
    """The subject's own view and control."""

    path = "/v1/me"
    tags = ("Subject",)
    guards = (session_required,)
    dependencies = {"session": Provide(signed_in), "actor": Provide(acting)}  # noqa: RUF012 (Litestar's own form)
    security = [{"session": []}]  # noqa: RUF012

    @get("/session", operation_id="getMySession", summary="Who is signed in", responses=problems(*_READ))
    async def me(self, session: NamedDependency[SubjectSession], sessions: NamedDependency[Sessions]) -> Envelope[Me]:
        """Who is signed in at this browser, and the token that its changing requests must carry."""
        return Envelope(
            Me(session.display_name, SubjectKind(session.kind), sessions.csrf(session, CSRF_PURPOSE)),
        )

    @get("/consents", operation_id="listMyConsents", summary="My consents", responses=problems(*_READ))
    async def consents_of_mine(
        self, session: NamedDependency[SubjectSession], portal: NamedDependency[PortalService]
    ) -> Envelope[list[MyConsent]]:
        """Every consent that the subject gave or refused, newest first, with its state at this moment."""
        return Envelope(await portal.consents(session.subject_id))

    @post(
        "/consents/{consent_id:str}/revoke",
        status_code=200,
        operation_id="revokeMyConsent",
        summary="Withdraw a consent",
        responses=problems(*_CHANGE, Code.WRONG_STATE),
    )
    async def revoke(
        self,
        consent_id: ConsentId,
        actor: NamedDependency[SubjectSession],
        consents: NamedDependency[ConsentService],
        portal: NamedDependency[PortalService],
    ) -> Envelope[MyConsent]:
        """Ends the consent at once, tokens included. Doing it again changes nothing and answers the same."""
        consent = await consents.withdraw(consent_id, Party.SUBJECT, actor.subject_id)
        return Envelope(await portal.consent(consent))

    @post(
        "/consents/{consent_id:str}/pause",
        status_code=200,
        operation_id="pauseMyConsent",
        summary="Pause a consent",
        responses=problems(*_CHANGE, Code.WRONG_STATE),
    )
    async def pause(
        self,
        consent_id: ConsentId,
        actor: NamedDependency[SubjectSession],
        consents: NamedDependency[ConsentService],
        portal: NamedDependency[PortalService],
    ) -> Envelope[MyConsent]:
        """Checks under the consent are refused until the subject resumes it."""
        return Envelope(await portal.consent(await consents.pause(consent_id, actor.subject_id)))

    @post(
        "/consents/{consent_id:str}/resume",
        status_code=200,
        operation_id="resumeMyConsent",
        summary="Resume a consent",
        responses=problems(*_CHANGE, Code.WRONG_STATE),
    )
    async def resume(
        self,
        consent_id: ConsentId,
        actor: NamedDependency[SubjectSession],
        consents: NamedDependency[ConsentService],
        portal: NamedDependency[PortalService],
    ) -> Envelope[MyConsent]:
        """Undoes a pause; the consent ends when it would have ended."""
        return Envelope(await portal.consent(await consents.resume(consent_id, actor.subject_id)))

    @get("/records", operation_id="listMyRecords", summary="My records", responses=problems(*_READ))
    async def records_of_mine(
        self, session: NamedDependency[SubjectSession], portal: NamedDependency[PortalService]
    ) -> Envelope[list[MyRecord]]:
        """Everything that is recorded about the subject, with its source, newest observation first."""
        return Envelope(await portal.records(session.subject_id))

    @get("/withholdings", operation_id="listMyWithholdings", summary="What I withhold", responses=problems(*_READ))
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
        responses=problems(*_CHANGE, *_BODY),
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
        responses=problems(*_CHANGE, Code.WRONG_STATE, *_BODY),
    )
    async def suppress(
        self,
        data: JSONBody[RecordRef],
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
    ) -> None:
        """The record counts for no scenario, as if there were none, until the subject takes it back."""
        async with database.transaction() as tx:
            await records.suppress(tx, actor.subject_id, data.record_id)

    @delete(
        "/suppressions/{record_id:str}",
        status_code=204,
        operation_id="unsuppressMyRecord",
        summary="Let a record count again",
        responses=problems(*_CHANGE),
    )
    async def unsuppress(
        self,
        record_id: RecordId,
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
    ) -> None:
        """Undoes a suppression."""
        async with database.transaction() as tx:
            await records.unsuppress(tx, actor.subject_id, record_id)

    @post(
        "/disputes",
        status_code=204,
        operation_id="disputeMyRecord",
        summary="Contest a record",
        responses=problems(*_CHANGE, *_BODY),
    )
    async def dispute(
        self,
        data: JSONBody[RecordRef],
        actor: NamedDependency[SubjectSession],
        database: NamedDependency[Database],
        disputes: NamedDependency[DisputeService],
    ) -> None:
        """The record stops to count at once; nothing outside shows that it was contested."""
        async with database.transaction() as tx:
            await disputes.open(tx, actor.subject_id, data.record_id)


def _body(withholding: Withholding) -> WithholdingBody:
    return WithholdingBody(withholding.scenario_id, withholding.record_type)
