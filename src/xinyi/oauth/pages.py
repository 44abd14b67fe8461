"""The pages of the authorization endpoint: sign in, read, decide, go back."""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from litestar import Controller, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from ..consents.pages import consent_page, preview_page
from ..consents.previews import PreviewService
from ..consents.service import ConsentService
from ..kernel.errors import Code, XinyiError
from ..kernel.text import Language, Text
from ..subjects.model import SubjectKind
from ..web.page_errors import PAGE_ERRORS
from ..web.pages import SIGN_IN, error_page, language_of, outcome_page, page
from ..web.session import SubjectSession
from .authorize import answer_url, denied, form_fields, origin, redirect
from .errors import ErrorCode, OAuthError
from .forms import MAX_BODY, read_form, read_query, required
from .metadata import AUTHORIZE
from .par import PushedRequest
from .service import OAuthService
from .sign_in import PURPOSE, SandboxSignIn
from .upstream import BACK, LOGOUT, START, LogoutRefused, SignInFailed, UpstreamSignIn

PORTAL: Final = "/me"
MAX_NEXT: Final = 1024
"""Characters of the path to go on at after a sign-in."""

_NOT_TO_DECIDE: Final = frozenset({Code.NOT_ENTITLED, Code.WRONG_STATE, Code.NOT_FOUND, Code.PARTNER_SUSPENDED})

_UNSTORED: Final = {"cache-control": "no-store"}

_OVER: Final = Text("请求已失效", "This request is over")
_START_AGAIN: Final = Text(
    "这次请求已失效、已处理，或是在另一个浏览器中打开的。请回到发起请求的机构页面，重新开始。",
    "This request is out of date, was decided already, or was opened in another browser. "
    "Go back to the partner's page and start again.",
)


def _on_oauth_error(request: Request[Any, Any, Any], error: OAuthError) -> Response[Any]:
    """What can't be sent back, since it isn't proven where to."""
    return error_page(request, XinyiError(Code.MALFORMED, error.description), title=_OVER, note=_START_AGAIN)


def _on_sign_in_failed(request: Request[Any, Any, Any], failed: SignInFailed) -> Response[Any]:
    return outcome_page(
        request, status=HTTPStatus.FORBIDDEN, title=failed.title, note=failed.note, back=failed.next_path
    )


class AuthorizeController(Controller):
    """Where a partner sends a subject to consent, or not."""

    include_in_schema = False
    exception_handlers = {**PAGE_ERRORS, OAuthError: _on_oauth_error}  # noqa: RUF012 (Litestar's own form)

    @get(AUTHORIZE)
    async def show(
        self,
        request: Request[Any, Any, Any],
        oauth: NamedDependency[OAuthService],
        consents: NamedDependency[ConsentService],
    ) -> Response[Any]:
        """The sign-in page, or the consent page. Nothing is decided by looking at it."""
        browser, cookie = _browser(request, oauth)
        query = read_query(request)
        client_id, request_uri = required(query, "client_id"), required(query, "request_uri")
        pushed = await oauth.requests.find(request_uri, client_id, browser)
        if pushed is None:
            raise _gone()
        session = await oauth.sessions.read(request)
        if session is None or session.kind != pushed.subject_kind:
            fields = form_fields(client_id, request_uri)
            response = _sign_in(request, oauth, browser, session, pushed, fields)
        else:
            response = await self._ask(request, oauth, consents, pushed, session, request_uri)
        return _with(response, cookie)

    async def _ask(
        self,
        request: Request[Any, Any, Any],
        oauth: OAuthService,
        consents: ConsentService,
        pushed: PushedRequest,
        session: SubjectSession,
        request_uri: str,
        language: Language | None = None,
    ) -> Response[Any]:
        try:
            _, notice = await consents.show(
                pushed.consent_id,
                subject_id=session.subject_id,
                kind=session.kind,
                language=language or language_of(request),
            )
        except XinyiError as error:
            if error.code is Code.NOT_ENTITLED:
                return _not_theirs(request, oauth, pushed, session, request_uri)
            return await _refused(oauth, consents, pushed, request_uri, error)
        return consent_page(
            request,
            notice,
            action=AUTHORIZE,
            csrf=oauth.sessions.csrf(session, oauth.requests.purpose(request_uri)),
            signed_in_as=session.display_name,
            fields=form_fields(pushed.client_id, request_uri),
            form_targets=[origin(pushed.redirect_uri)],
        )

    @post(AUTHORIZE, status_code=HTTPStatus.OK, request_max_body_size=MAX_BODY)
    async def decide(
        self,
        request: Request[Any, Any, Any],
        oauth: NamedDependency[OAuthService],
        consents: NamedDependency[ConsentService],
        previews: NamedDependency[PreviewService],
    ) -> Response[Any]:
        """The subject agrees, refuses or previews, or signs out to come back as another.

        The first decision stands; then the browser goes back to the partner.
        """
        form = await read_form(request)
        client_id, request_uri = required(form, "client_id"), required(form, "request_uri")
        browser = oauth.sessions.browser(request)
        pushed = None if browser is None else await oauth.requests.find(request_uri, client_id, browser)
        if pushed is None or browser is None:
            raise _gone()
        session = await oauth.sessions.read(request)
        oauth.sessions.check_csrf(session or browser, oauth.requests.purpose(request_uri), form.get("csrf"))
        match form.get("decision"):
            case "refuse":
                return await self._refuse(oauth, consents, pushed, session, request_uri)
            case "agree" if session is not None and not oauth.sessions.decides(session):
                return _sign_in(request, oauth, browser, session, pushed, form_fields(client_id, request_uri))
            case "agree" if session is not None:
                return await self._agree(request, oauth, consents, pushed, session, form)
            case "preview" if session is not None:
                return await self._preview(request, oauth, consents, previews, pushed, session, form)
            case "switch":
                here = redirect(f"{AUTHORIZE}?{urlencode(form_fields(client_id, request_uri))}")
                return _with(here, None if session is None else await oauth.sessions.end(session))
            case _:
                raise XinyiError(Code.MALFORMED, "decision must be agree, refuse, preview or switch")

    async def _refuse(
        self,
        oauth: OAuthService,
        consents: ConsentService,
        pushed: PushedRequest,
        session: SubjectSession | None,
        request_uri: str,
    ) -> Response[Any]:
        await _spend(oauth, request_uri)
        await _turn_down(consents, pushed, session)
        return denied(oauth.issuer, pushed)

    async def _agree(
        self,
        request: Request[Any, Any, Any],
        oauth: OAuthService,
        consents: ConsentService,
        pushed: PushedRequest,
        session: SubjectSession,
        form: dict[str, str],
    ) -> Response[Any]:
        request_uri = form["request_uri"]
        language = _language(form)
        try:
            _, notice = await consents.show(
                pushed.consent_id, subject_id=session.subject_id, kind=session.kind, language=language
            )
        except XinyiError as error:
            return await _refused(oauth, consents, pushed, request_uri, error)
        if notice.digest != form.get("notice"):  # it changed since it was shown: show it again
            return await self._ask(request, oauth, consents, pushed, session, request_uri, language)
        await _spend(oauth, request_uri)
        try:
            await consents.authorise(
                pushed.consent_id,
                subject_id=session.subject_id,
                kind=session.kind,
                notice_digest=notice.digest,
                language=language,
                representative_id=session.representative_id,
            )
        except XinyiError as error:
            return _unanswerable(oauth, pushed, error)
        code = await oauth.codes.issue(
            client_id=pushed.client_id,
            redirect_uri=pushed.redirect_uri,
            code_challenge=pushed.code_challenge,
            dpop_jkt=pushed.dpop_jkt,
            consent_id=pushed.consent_id,
        )
        return redirect(answer_url(oauth.issuer, pushed, code=code))

    async def _preview(
        self,
        request: Request[Any, Any, Any],
        oauth: OAuthService,
        consents: ConsentService,
        previews: PreviewService,
        pushed: PushedRequest,
        session: SubjectSession,
        form: dict[str, str],
    ) -> Response[Any]:
        """What the partner would see. Nothing is decided, and nothing spent, by looking at it."""
        request_uri, language = form["request_uri"], _language(form)
        fields = form_fields(pushed.client_id, request_uri)
        try:
            _, notice = await consents.show(
                pushed.consent_id, subject_id=session.subject_id, kind=session.kind, language=language
            )
        except XinyiError as error:
            return await _refused(oauth, consents, pushed, request_uri, error)
        try:
            preview = await previews.of_consent(pushed.consent_id, subject_id=session.subject_id, kind=session.kind)
        except XinyiError as error:
            return await _over(oauth, pushed, request_uri, error)
        return preview_page(
            request,
            notice,
            previews.in_words(preview, language),
            action=AUTHORIZE,
            back=f"{AUTHORIZE}?{urlencode(fields)}",
            csrf=oauth.sessions.csrf(session, oauth.requests.purpose(request_uri)),
            signed_in_as=session.display_name,
            fields=fields,
            form_targets=[origin(pushed.redirect_uri)],
        )


class SandboxSignInController(Controller):
    """Signing in as a persona. The application routes it in the sandbox alone."""

    path = SIGN_IN
    include_in_schema = False
    exception_handlers = {**PAGE_ERRORS, OAuthError: _on_oauth_error}  # noqa: RUF012 (Litestar's own form)

    @get()
    async def show(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> Response[Any]:
        """The personas, for those who come by themselves."""
        return _sign_in_page(request, oauth)

    @post(status_code=HTTPStatus.OK, request_max_body_size=MAX_BODY)
    async def enter(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> Response[Any]:
        """Signs in and goes on to where the page was asked for. A session that was there is over."""
        assert isinstance(oauth.sign_in, SandboxSignIn), "routed in the sandbox alone"
        form = await read_form(request)
        browser = oauth.sessions.browser(request)
        if browser is None:
            raise XinyiError(Code.CSRF)
        oauth.sessions.check_csrf(browser, PURPOSE, form.get("csrf"))
        old = await oauth.sessions.read(request)
        _, cookie = await oauth.sign_in.enter(required(form, "persona"))
        if old is not None:
            await oauth.sessions.end(old)
        return _with(redirect(local_path(form.get("next"))), cookie)


class UpstreamSignInController(Controller):
    """Signing in at the provider. The application routes it when one is configured."""

    include_in_schema = False
    exception_handlers = {**PAGE_ERRORS, OAuthError: _on_oauth_error, SignInFailed: _on_sign_in_failed}  # noqa: RUF012 (Litestar's own form)

    @get(SIGN_IN)
    async def show(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> Response[Any]:
        """The way to the provider, for those who come by themselves."""
        return _sign_in_page(request, oauth)

    @get(START)
    async def start(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> Response[Any]:
        """Goes to the provider."""
        browser, cookie = _browser(request, oauth)
        company = request.query_params.get("kind") == SubjectKind.LEGAL_PERSON
        kind = SubjectKind.LEGAL_PERSON if company else SubjectKind.NATURAL_PERSON
        next_path = local_path(request.query_params.get("next"))
        return _with(redirect(await _upstream(oauth).begin(browser, next_path, kind, language_of(request))), cookie)

    @get(BACK)
    async def back(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> Response[Any]:
        """Comes back from the provider, and goes on to where the page was asked for. An older session is over."""
        old = await oauth.sessions.read(request)
        _, cookie, next_path = await _upstream(oauth).finish(oauth.sessions.browser(request), read_query(request))
        if old is not None:
            await oauth.sessions.end(old)
        return _with(redirect(next_path), cookie)


class BackChannelLogoutController(Controller):
    """Where the provider says who is signed out. The application routes it when one is configured."""

    include_in_schema = False

    @post(LOGOUT, status_code=HTTPStatus.OK, request_max_body_size=MAX_BODY)
    async def log_out(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> Response[Any]:
        """Ends the sessions of whom the ``logout_token`` names (OpenID Connect Back-Channel Logout 1.0 §2.5–2.8)."""
        try:
            await _upstream(oauth).log_out(required(await read_form(request), "logout_token"))
        except (OAuthError, LogoutRefused):
            error = {"error": ErrorCode.INVALID_REQUEST.value}
            return Response(error, status_code=HTTPStatus.BAD_REQUEST, headers=_UNSTORED)
        return Response(None, headers=_UNSTORED)


UPSTREAM_SIGN_IN: Final = (UpstreamSignInController, BackChannelLogoutController)


def _sign_in_page(request: Request[Any, Any, Any], oauth: OAuthService) -> Response[Any]:
    browser, cookie = _browser(request, oauth)
    next_path = local_path(request.query_params.get("next"))
    return _with(oauth.sign_in.show(request, browser, next_path=next_path), cookie)


def _upstream(oauth: OAuthService) -> UpstreamSignIn:
    assert isinstance(oauth.sign_in, UpstreamSignIn), "routed with a provider alone"
    return oauth.sign_in


def local_path(text: str | None) -> str:
    """``text`` when it is a path of this site, else the portal: nobody is sent elsewhere from here."""
    if text is None or not text.startswith("/") or text.startswith(("//", "/\\")) or not text.isprintable():
        return PORTAL
    if len(text) > MAX_NEXT:  # it is kept while somebody signs in elsewhere, whoever they are
        return PORTAL
    parts = urlsplit(text)
    return PORTAL if parts.scheme or parts.netloc or "\\" in text else text


def _sign_in(
    request: Request[Any, Any, Any],
    oauth: OAuthService,
    browser: str,
    session: SubjectSession | None,
    pushed: PushedRequest,
    fields: dict[str, str],
) -> Response[Any]:
    csrf = oauth.sessions.csrf(session or browser, oauth.requests.purpose(fields["request_uri"]))
    return oauth.sign_in.show(
        request,
        browser,
        next_path=f"{AUTHORIZE}?{urlencode(fields)}",
        kind=pushed.subject_kind,
        refusal={**fields, "csrf": csrf, "decision": "refuse"},
        form_targets=[origin(pushed.redirect_uri)],
    )


def _not_theirs(
    request: Request[Any, Any, Any],
    oauth: OAuthService,
    pushed: PushedRequest,
    session: SubjectSession,
    request_uri: str,
) -> Response[Any]:
    """The way to sign in as another, or back. Whom the partner named isn't told."""
    return page(
        request,
        "oauth/not_theirs.html",
        form_targets=[origin(pushed.redirect_uri)],
        action=AUTHORIZE,
        fields={
            **form_fields(pushed.client_id, request_uri),
            "csrf": oauth.sessions.csrf(session, oauth.requests.purpose(request_uri)),
        },
        signed_in_as=session.display_name,
    )


def _language(form: dict[str, str]) -> Language:
    """The language that the page was shown in."""
    return Language.EN if form.get("language") == Language.EN else Language.ZH


def _browser(request: Request[Any, Any, Any], oauth: OAuthService) -> tuple[str, Cookie | None]:
    """The browser's name, and the cookie to set when it had none."""
    browser = oauth.sessions.browser(request)
    return oauth.sessions.new_browser() if browser is None else (browser, None)


def _with(response: Response[Any], cookie: Cookie | None) -> Response[Any]:
    if cookie is not None:
        response.cookies.append(cookie)
    return response


async def _spend(oauth: OAuthService, request_uri: str) -> None:
    if not await oauth.requests.spend(request_uri):
        raise _gone()


async def _turn_down(consents: ConsentService, pushed: PushedRequest, session: SubjectSession | None = None) -> None:
    """The consent ends with the flow, whoever refuses it; one that is over already stays as it is."""
    try:
        if session is None:
            await consents.turn_down(pushed.consent_id)
        else:
            await consents.turn_down(
                pushed.consent_id,
                subject_id=session.subject_id,
                kind=session.kind,
                representative_id=session.representative_id,
            )
    except XinyiError as error:
        if error.code not in _NOT_TO_DECIDE:
            raise


async def _refused(
    oauth: OAuthService, consents: ConsentService, pushed: PushedRequest, request_uri: str, error: XinyiError
) -> Response[Any]:
    """:func:`_over`, and of the consent as well when it isn't this subject's to answer: as after any other refusal."""
    response = await _over(oauth, pushed, request_uri, error)
    if error.code is Code.NOT_ENTITLED:
        await _turn_down(consents, pushed)
    return response


async def _over(oauth: OAuthService, pushed: PushedRequest, request_uri: str, error: XinyiError) -> Response[Any]:
    """:func:`_unanswerable`, once: not when somebody has decided meanwhile, whose answer is under way."""
    response = _unanswerable(oauth, pushed, error)
    await _spend(oauth, request_uri)
    return response


def _unanswerable(oauth: OAuthService, pushed: PushedRequest, error: XinyiError) -> Response[Any]:
    """``access_denied`` when the subject can't answer; whatever else went wrong is told on a page."""
    if error.code not in _NOT_TO_DECIDE:
        raise error
    return denied(oauth.issuer, pushed)


def _gone() -> OAuthError:
    return OAuthError(ErrorCode.INVALID_REQUEST, "the request_uri is not valid")
