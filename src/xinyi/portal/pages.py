"""``/me``: the subject's pages, without a script. Every button is a form that ends in a redirect (303)."""

from typing import Any, Final

import msgspec
from litestar import Controller, MediaType, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from ..catalogue.service import Catalogue
from ..consents.model import Party
from ..consents.service import ConsentService
from ..consents.words import REASONS, STATES
from ..feedback.model import BANDS, RESULTS
from ..kernel.errors import DEFINITIONS, Code, XinyiError
from ..kernel.ids import is_id
from ..records.disputes import DisputeService
from ..records.service import RecordService
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..web.forms import read_form
from ..web.page_errors import PAGE_ERRORS
from ..web.pages import SIGN_IN, on_page_error, page
from ..web.session import Sessions, SubjectSession
from .access import AccessLog
from .guards import CSRF_PURPOSE
from .model import DISPUTES, OUTCOMES, Preferences
from .service import PortalService
from .withholding import choices

ME = "/me"
ACCESS_LOG: Final = f"{ME}/access-log"
RECORDS: Final = f"{ME}/records"
DATA: Final = f"{ME}/data"
MAX_FORM = 8192
"""Bytes: a form has a token, a button, and at most what somebody writes about a record."""
PAGE: Final = 10
"""Entries of the access log on one page."""


def _on_error(request: Request[Any, Any, Any], error: XinyiError) -> Response[Any]:
    """Who posted without a session, or is to sign in again to decide for a company, is led to that and back to me."""
    if error.code is Code.SESSION_REQUIRED and request.method == "POST":
        return Redirect(f"{SIGN_IN}?next={ME}", status_code=303)
    return on_page_error(request, error)


class PortalPages(Controller):
    """Pages of the signed-in subject."""

    path = ME
    include_in_schema = False
    exception_handlers = {**PAGE_ERRORS, XinyiError: _on_error}  # noqa: RUF012 (Litestar's own form)

    @get()
    async def me(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        portal: NamedDependency[PortalService],
    ) -> Response[str] | Redirect:
        """My consents, and what waits for me."""
        session = await sessions.require(request)
        mine = await portal.consents(session.subject_id)
        return _page(
            request,
            "portal/me.html",
            session,
            sessions,
            inbox=await portal.inbox(session.subject_id),
            current=[consent for consent in mine if consent.open],
            past=[consent for consent in mine if not consent.open],
        )

    @post("/consents/{consent_id:str}/{change:str}", request_max_body_size=MAX_FORM)
    async def change(
        self,
        request: Request[Any, Any, Any],
        consent_id: FromPath[str],
        change: FromPath[str],
        sessions: NamedDependency[Sessions],
        consents: NamedDependency[ConsentService],
    ) -> Redirect:
        """A button of a consent: ``withdraw``, ``pause`` or ``resume``."""
        session, _ = await _acting(request, sessions)
        acting = {"representative_id": session.representative_id}
        match change:
            case "withdraw":
                await consents.withdraw(consent_id, Party.SUBJECT, session.subject_id, **acting)
            case "pause":
                await consents.pause(consent_id, session.subject_id, **acting)
            case "resume":
                await consents.resume(consent_id, session.subject_id, **acting)
            case _:
                raise XinyiError(Code.NOT_FOUND)
        return Redirect(ME, status_code=303)

    @post("/inbox/read", request_max_body_size=MAX_FORM)
    async def read_inbox(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        portal: NamedDependency[PortalService],
    ) -> Redirect:
        """I have read of the checks: on to the list of them."""
        session, _ = await _acting(request, sessions)
        await portal.mark_seen(session.subject_id)
        return Redirect(ACCESS_LOG, status_code=303)

    @get("/access-log")
    async def access_log(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        access: NamedDependency[AccessLog],
    ) -> Response[str] | Redirect:
        """Who looked, each entry proved as it is shown."""
        session = await sessions.require(request)
        before = request.query_params.get("before")
        if before is not None and not is_id("chk", before):
            raise XinyiError(Code.NOT_FOUND)
        entries, older = await access.page(session.subject_id, limit=PAGE, before=before)
        return _page(
            request, "portal/access_log.html", session, sessions, entries=entries, older=older, first=before is None
        )

    @get("/access-log/{check_id:str}/{form:str}")
    async def access_file(
        self,
        request: Request[Any, Any, Any],
        check_id: FromPath[str],
        form: FromPath[str],
        sessions: NamedDependency[Sessions],
        access: NamedDependency[AccessLog],
    ) -> Response[Any]:
        """An entry to keep: its ``receipt.txt`` alone, or all of it as ``entry.json``."""
        session = await sessions.require(request)
        file = await access.file(session.subject_id, check_id)
        if form == "entry.json":
            return _download(msgspec.json.format(msgspec.json.encode(file)), f"{check_id}.json", MediaType.JSON)
        if form == "receipt.txt" and file.receipt is not None:
            return _download(file.receipt.encode(), f"{check_id}.receipt.txt", MediaType.TEXT)
        raise XinyiError(Code.NOT_FOUND)

    @get("/records")
    async def records(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        portal: NamedDependency[PortalService],
        scenarios: NamedDependency[Registry],
        catalogue: NamedDependency[Catalogue],
    ) -> Response[str] | Redirect:
        """What is recorded about me, and what I can do about it."""
        session = await sessions.require(request)
        disputes = await portal.disputes(session.subject_id)
        withheld = await portal.withholdings(session.subject_id)
        return _page(
            request,
            "portal/records.html",
            session,
            sessions,
            records=await portal.records(session.subject_id),
            contested={dispute.record_id: dispute for dispute in disputes if dispute.open},
            answered=[dispute for dispute in disputes if not dispute.open],
            withheld=withheld,
            choices=choices(scenarios, catalogue, session.kind, withheld),
        )

    @post("/records/{record_id:str}/{change:str}", request_max_body_size=MAX_FORM)
    async def change_record(
        self,
        request: Request[Any, Any, Any],
        record_id: FromPath[str],
        change: FromPath[str],
        sessions: NamedDependency[Sessions],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
        disputes: NamedDependency[DisputeService],
    ) -> Redirect:
        """A button of a record: ``contest``, ``keep-off`` or ``count-again``."""
        session, form = await _acting(request, sessions)
        async with database.transaction() as tx:
            match change:
                case "contest":
                    await disputes.open(tx, session.subject_id, record_id, form.get("statement"))
                case "keep-off":
                    await records.suppress(tx, session.subject_id, record_id)
                case "count-again":
                    await records.unsuppress(tx, session.subject_id, record_id)
                case _:
                    raise XinyiError(Code.NOT_FOUND)
        return Redirect(RECORDS, status_code=303)

    @post("/disputes/{dispute_id:str}/take-back", request_max_body_size=MAX_FORM)
    async def take_back(
        self,
        request: Request[Any, Any, Any],
        dispute_id: FromPath[str],
        sessions: NamedDependency[Sessions],
        database: NamedDependency[Database],
        disputes: NamedDependency[DisputeService],
    ) -> Redirect:
        """I contest it no more."""
        session, _ = await _acting(request, sessions)
        async with database.transaction() as tx:
            await disputes.take_back(tx, session.subject_id, dispute_id)
        return Redirect(RECORDS, status_code=303)

    @post("/withholdings/{change:str}", request_max_body_size=MAX_FORM)
    async def withhold(
        self,
        request: Request[Any, Any, Any],
        change: FromPath[str],
        sessions: NamedDependency[Sessions],
        database: NamedDependency[Database],
        records: NamedDependency[RecordService],
        scenarios: NamedDependency[Registry],
    ) -> Redirect:
        """``keep`` a record type from a scenario, or ``give`` it back: ``what`` is ``scenario/TYPE``."""
        session, form = await _acting(request, sessions)
        scenario, _, record_type = form.get("what", "").partition("/")
        async with database.transaction() as tx:
            match change:
                case "keep":
                    await records.withhold(tx, session.subject_id, scenarios.get(scenario).id, record_type)
                case "give":
                    await records.unwithhold(tx, session.subject_id, scenario, record_type)
                case _:
                    raise XinyiError(Code.NOT_FOUND)
        return Redirect(f"{RECORDS}#withhold", status_code=303)

    @get("/data")
    async def data(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        portal: NamedDependency[PortalService],
    ) -> Response[str] | Redirect:
        """Take everything along, and say what I want to be told."""
        session = await sessions.require(request)
        preferences = await portal.preferences(session.subject_id)
        return _page(request, "portal/data.html", session, sessions, preferences=preferences)

    @post("/data/notices", request_max_body_size=MAX_FORM)
    async def notices(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        portal: NamedDependency[PortalService],
    ) -> Redirect:
        """Whether I am told after each check."""
        session, form = await _acting(request, sessions)
        await portal.prefer(session.subject_id, Preferences(form.get("wanted") == "yes"))
        return Redirect(DATA, status_code=303)

    @get("/export")
    async def export(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        portal: NamedDependency[PortalService],
    ) -> Response[Any]:
        """Everything, as JSON."""
        session = await sessions.require(request)
        made = await portal.export(session.subject_id)
        name = f"xinyi-{made.made_at:%Y%m%d}.json"
        return _download(msgspec.json.format(msgspec.json.encode(made)), name, MediaType.JSON)

    @get("/print")
    async def printable(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        portal: NamedDependency[PortalService],
    ) -> Response[str] | Redirect:
        """Everything, to be printed."""
        session = await sessions.require(request)
        export = await portal.export(session.subject_id)
        return _page(request, "portal/print.html", session, sessions, export=export)

    @post("/sign-out", request_max_body_size=MAX_FORM)
    async def sign_out(self, request: Request[Any, Any, Any], sessions: NamedDependency[Sessions]) -> Redirect:
        """Ends the session at once."""
        session, _ = await _posted(request, sessions)
        return Redirect(SIGN_IN, status_code=303, cookies=[await sessions.end(session)])


def _page(
    request: Request[Any, Any, Any], name: str, session: SubjectSession, sessions: Sessions, **context: Any
) -> Response[str]:
    return page(
        request,
        name,
        here=request.url.path,
        session=session,
        csrf=sessions.csrf(session, CSRF_PURPOSE),
        states=STATES,
        reasons=REASONS,
        disputes=DISPUTES,
        outcomes=OUTCOMES,
        results=RESULTS,
        bands=BANDS,
        refusals={code.value: definition.title for code, definition in DEFINITIONS.items()},
        **context,
    )


def _download(body: bytes, name: str, media_type: MediaType) -> Response[bytes]:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(body, media_type=media_type, headers=headers)


async def _posted(request: Request[Any, Any, Any], sessions: Sessions) -> tuple[SubjectSession, dict[str, str]]:
    """Who posts a form, and what it says. Raises ``XinyiError``: SESSION_REQUIRED, CSRF, or as :func:`read_form`."""
    session = await sessions.require(request)
    form = await read_form(request)
    sessions.check_csrf(session, CSRF_PURPOSE, form.get("csrf"))
    return session, form


async def _acting(request: Request[Any, Any, Any], sessions: Sessions) -> tuple[SubjectSession, dict[str, str]]:
    """As :func:`_posted`, by who may decide for the subject."""
    session, form = await _posted(request, sessions)
    sessions.require_deciding(session)
    return session, form
