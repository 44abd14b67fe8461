"""``/v1/me``: a signed-in subject's own consents, who looked, and all of it to take along.

Another subject's id is answered as one that doesn't exist.
"""

from typing import Annotated, Final

from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, Struct

from ..consents.model import Party
from ..consents.service import ConsentService
from ..kernel.errors import Code
from ..kernel.text import Text
from ..subjects.model import SubjectKind
from ..web.envelope import Envelope
from ..web.problem import problems
from ..web.session import Sessions, SubjectSession
from .access import AccessLog
from .guards import CSRF_PURPOSE, DEPENDENCIES, GUARDS, OF_BODY, OF_CHANGE, OF_READ, SECURITY
from .model import Access, AccessFile, Export, Inbox, MyConsent, Preferences
from .service import PortalService

ConsentId = Annotated[str, PathParameter(description="The consent's id.")]
CheckId = Annotated[str, PathParameter(max_length=64, description="The check's id.")]
CHECK_CURSOR: Final = "^chk_[0-9a-z]{26}$"


class Me(Struct, frozen=True):
    """Who is signed in."""

    display_name: Annotated[Text, Meta(description="How the pages call the subject.")]
    kind: Annotated[SubjectKind, Meta(description="A person or an organisation.")]
    csrf: Annotated[str, Meta(description="What `x-csrf-token` must carry in this session.")]


class MeController(Controller):
    """The subject's own view and control."""

    path = "/v1/me"
    tags = ("Subject",)
    guards = GUARDS
    dependencies = DEPENDENCIES
    security = SECURITY

    @get("/session", operation_id="getMySession", summary="Who is signed in", responses=problems(*OF_READ))
    async def me(self, session: NamedDependency[SubjectSession], sessions: NamedDependency[Sessions]) -> Envelope[Me]:
        """Who is signed in at this browser, and the token that its changing requests must carry."""
        return Envelope(
            Me(session.display_name, SubjectKind(session.kind), sessions.csrf(session, CSRF_PURPOSE)),
        )

    @get("/consents", operation_id="listMyConsents", summary="My consents", responses=problems(*OF_READ))
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
        responses=problems(*OF_CHANGE, Code.WRONG_STATE),
    )
    async def revoke(
        self,
        consent_id: ConsentId,
        actor: NamedDependency[SubjectSession],
        consents: NamedDependency[ConsentService],
        portal: NamedDependency[PortalService],
    ) -> Envelope[MyConsent]:
        """Ends the consent at once, tokens included. Doing it again changes nothing and answers the same."""
        consent = await consents.withdraw(
            consent_id, Party.SUBJECT, actor.subject_id, representative_id=actor.representative_id
        )
        return Envelope(await portal.consent(consent, actor.subject_id))

    @post(
        "/consents/{consent_id:str}/pause",
        status_code=200,
        operation_id="pauseMyConsent",
        summary="Pause a consent",
        responses=problems(*OF_CHANGE, Code.WRONG_STATE),
    )
    async def pause(
        self,
        consent_id: ConsentId,
        actor: NamedDependency[SubjectSession],
        consents: NamedDependency[ConsentService],
        portal: NamedDependency[PortalService],
    ) -> Envelope[MyConsent]:
        """Checks under the consent are refused until the subject resumes it."""
        consent = await consents.pause(consent_id, actor.subject_id, representative_id=actor.representative_id)
        return Envelope(await portal.consent(consent, actor.subject_id))

    @post(
        "/consents/{consent_id:str}/resume",
        status_code=200,
        operation_id="resumeMyConsent",
        summary="Resume a consent",
        responses=problems(*OF_CHANGE, Code.WRONG_STATE),
    )
    async def resume(
        self,
        consent_id: ConsentId,
        actor: NamedDependency[SubjectSession],
        consents: NamedDependency[ConsentService],
        portal: NamedDependency[PortalService],
    ) -> Envelope[MyConsent]:
        """Undoes a pause; the consent ends when it would have ended."""
        consent = await consents.resume(consent_id, actor.subject_id, representative_id=actor.representative_id)
        return Envelope(await portal.consent(consent, actor.subject_id))

    @get("/inbox", operation_id="getMyInbox", summary="What waits for me", responses=problems(*OF_READ))
    async def inbox(
        self, session: NamedDependency[SubjectSession], portal: NamedDependency[PortalService]
    ) -> Envelope[Inbox]:
        """What the subject is asked, and how many checks there were since they last looked, if they want to know."""
        return Envelope(await portal.inbox(session.subject_id))

    @post(
        "/inbox/read",
        status_code=204,
        operation_id="markMyInboxRead",
        summary="I have read of the checks",
        responses=problems(Code.SESSION_REQUIRED, Code.CSRF),
    )
    async def read_inbox(self, actor: NamedDependency[SubjectSession], portal: NamedDependency[PortalService]) -> None:
        """`new_uses` counts from here on."""
        await portal.mark_seen(actor.subject_id)

    @get(
        "/access-log",
        operation_id="listMyAccessLog",
        summary="Who looked",
        responses=problems(*OF_READ, Code.INVALID, Code.UNAVAILABLE),
    )
    async def access_log(
        self,
        session: NamedDependency[SubjectSession],
        access: NamedDependency[AccessLog],
        limit: Annotated[int, QueryParameter(ge=1, le=100, description="The most entries to give.")] = 20,
        cursor: Annotated[
            str | None,
            QueryParameter(pattern=CHECK_CURSOR, required=False, description="`meta.next_cursor` of the page before."),
        ] = None,
    ) -> Envelope[list[Access]]:
        """Each check about the subject, newest first: when, who, what for, by whose consent, and what was told.

        Each is verified against the newest signed checkpoint of the ledger for this answer. That shows that it can't be
        changed or removed later; it doesn't show that nothing else exists.
        """
        entries, next_cursor = await access.page(session.subject_id, limit=limit, before=cursor)
        links = {} if next_cursor is None else {"next": f"/v1/me/access-log?limit={limit}&cursor={next_cursor}"}
        return Envelope(entries, links=links or UNSET, meta={"limit": limit, "next_cursor": next_cursor})

    @get(
        "/access-log/{check_id:str}",
        operation_id="getMyAccessLogEntry",
        summary="One look, with what proves it elsewhere",
        responses=problems(*OF_READ, Code.NOT_FOUND, Code.UNAVAILABLE),
    )
    async def access_file(
        self, check_id: CheckId, session: NamedDependency[SubjectSession], access: NamedDependency[AccessLog]
    ) -> Envelope[AccessFile]:
        """The entry with its answer and a receipt under the newest checkpoint: they verify without the platform."""
        return Envelope(await access.file(session.subject_id, check_id))

    @get(
        "/export",
        operation_id="exportMyData",
        summary="Everything about me",
        responses=problems(*OF_READ, Code.UNAVAILABLE),
    )
    async def export(
        self, session: NamedDependency[SubjectSession], portal: NamedDependency[PortalService]
    ) -> Response[Envelope[Export]]:
        """A complete copy (PIPL 45): consents, records, disputes, and the access log with its receipts and keys."""
        return Response(Envelope(await portal.export(session.subject_id)), headers={"cache-control": "no-store"})

    @get(
        "/preferences", operation_id="getMyPreferences", summary="What I want to be told", responses=problems(*OF_READ)
    )
    async def preferences(
        self, session: NamedDependency[SubjectSession], portal: NamedDependency[PortalService]
    ) -> Envelope[Preferences]:
        """What the subject wants of the portal."""
        return Envelope(await portal.preferences(session.subject_id))

    @put(
        "/preferences",
        operation_id="setMyPreferences",
        summary="Say what I want to be told",
        responses=problems(Code.SESSION_REQUIRED, Code.CSRF, *OF_BODY),
    )
    async def prefer(
        self,
        data: JSONBody[Preferences],
        actor: NamedDependency[SubjectSession],
        portal: NamedDependency[PortalService],
    ) -> Envelope[Preferences]:
        """Notices are given of checks from now on."""
        await portal.prefer(actor.subject_id, data)
        return Envelope(await portal.preferences(actor.subject_id))
