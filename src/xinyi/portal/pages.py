"""``/me``: the subject's page, without a script. Every button is a form that ends in a redirect (303)."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from ..consents.model import Party
from ..consents.service import ConsentService
from ..kernel.errors import Code, XinyiError
from ..web.forms import read_form
from ..web.page_errors import PAGE_ERRORS
from ..web.pages import SIGN_IN, page
from ..web.session import Sessions
from .guards import CSRF_PURPOSE
from .model import REASONS, STATES
from .service import PortalService

ME = "/me"
MAX_FORM = 4096
"""Bytes: a form has a token and a button."""


class PortalPages(Controller):
    """Pages of the signed-in subject."""

    path = ME
    include_in_schema = False
    exception_handlers = PAGE_ERRORS

    @get()
    async def me(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        portal: NamedDependency[PortalService],
    ) -> Response[str] | Redirect:
        """My consents."""
        session = await sessions.require(request)
        mine = await portal.consents(session.subject_id)
        return page(
            request,
            "portal/me.html",
            session=session,
            csrf=sessions.csrf(session, CSRF_PURPOSE),
            current=[consent for consent in mine if consent.open],
            past=[consent for consent in mine if not consent.open],
            states=STATES,
            reasons=REASONS,
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
        session = await sessions.require(request)
        sessions.check_csrf(session, CSRF_PURPOSE, await _token(request))
        match change:
            case "withdraw":
                await consents.withdraw(consent_id, Party.SUBJECT, session.subject_id)
            case "pause":
                await consents.pause(consent_id, session.subject_id)
            case "resume":
                await consents.resume(consent_id, session.subject_id)
            case _:
                raise XinyiError(Code.NOT_FOUND)
        return Redirect(ME, status_code=303)

    @post("/sign-out", request_max_body_size=MAX_FORM)
    async def sign_out(self, request: Request[Any, Any, Any], sessions: NamedDependency[Sessions]) -> Redirect:
        """Ends the session at once."""
        session = await sessions.require(request)
        sessions.check_csrf(session, CSRF_PURPOSE, await _token(request))
        return Redirect(SIGN_IN, status_code=303, cookies=[await sessions.end(session)])


async def _token(request: Request[Any, Any, Any]) -> str | None:
    return (await read_form(request)).get("csrf")
