"""The pages at which a subject reads, previews, decides, and later looks after one consent."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from ..kernel.text import Language, Text
from ..web.forms import read_form
from ..web.page_errors import PAGE_ERRORS
from ..web.pages import SIGN_IN, language_of, page
from ..web.session import Sessions, SubjectSession
from .copies import MEDIA_TYPE
from .copies import read as read_copy
from .extending import ExtensionService
from .model import Channel, Consent, Extension, Party, end, state
from .notice import Notice
from .previews import PreviewService
from .seen import Seen
from .service import ConsentService, page_path
from .words import REASONS

MAX_FORM: Final = 4096
_NOT_FOR_THEM: Final = frozenset({Code.NOT_FOUND, Code.NOT_ENTITLED})


def consent_page(
    request: Request[Any, Any, Any],
    notice: Notice,
    *,
    action: str,
    csrf: str,
    signed_in_as: Text,
    fields: Mapping[str, str] | None = None,
    form_targets: Sequence[str] = (),
    extension: Extension | None = None,
) -> Response[str]:
    """The page that tells ``notice``, in its language, and asks; with ``extension`` it asks for more time.

    Its form posts ``decision`` (``agree``, ``refuse``, ``preview`` or ``switch``), ``csrf``, ``notice`` (the digest of
    what was shown), ``language`` and ``fields`` to ``action``. ``form_targets``: see :func:`web.pages.page`.
    """
    return page(
        request,
        "consents/consent.html",
        language=notice.language,
        form_targets=form_targets,
        notice=notice,
        action=action,
        csrf=csrf,
        signed_in_as=signed_in_as,
        fields=dict(fields or {}),
        extension=extension,
    )


def preview_page(
    request: Request[Any, Any, Any],
    notice: Notice,
    seen: Seen,
    *,
    action: str,
    back: str,
    csrf: str,
    signed_in_as: Text,
    fields: Mapping[str, str] | None = None,
    form_targets: Sequence[str] = (),
    extension: Extension | None = None,
) -> Response[str]:
    """The page that shows what the partner would see, and asks as :func:`consent_page` does; ``back`` leads to it."""
    return page(
        request,
        "consents/preview.html",
        language=notice.language,
        form_targets=form_targets,
        notice=notice,
        seen=seen,
        action=action,
        back=back,
        csrf=csrf,
        signed_in_as=signed_in_as,
        fields=dict(fields or {}),
        extension=extension,
    )


class ConsentPages(Controller):
    """One consent, for the subject that was named in it or gave it. To everybody else it is as if there were none."""

    path = "/consents/{consent_id:str}"
    include_in_schema = False
    exception_handlers = PAGE_ERRORS

    @get()
    async def show(
        self,
        request: Request[Any, Any, Any],
        consent_id: FromPath[str],
        sessions: NamedDependency[Sessions],
        consents: NamedDependency[ConsentService],
        extensions: NamedDependency[ExtensionService],
        clock: NamedDependency[Clock],
    ) -> Response[Any]:
        """What is asked, or how it stands."""
        session = await sessions.require(request)
        csrf = sessions.csrf(session, _purpose(consent_id))
        try:
            standing = await consents.of_subject_or_none(consent_id, session.subject_id)
            if standing is None:
                return await _ask(request, consents, consent_id, session, csrf, language_of(request))
            asked = await _extension(extensions, standing, session, language_of(request))
            if asked is not None:
                return _extend(request, session, csrf, *asked)
        except XinyiError as error:
            if error.code not in {*_NOT_FOR_THEM, Code.WRONG_STATE}:
                raise
            return _nothing(request, consent_id, session, csrf)
        ended = end(standing, clock.now())
        return page(
            request,
            "consents/standing.html",
            consent=standing,
            notice=await consents.notice_of(standing, language_of(request)),
            state=state(standing, clock.now()),
            ended=ended,
            why=None if ended is None else REASONS[ended.reason],
            signed_in_as=session.display_name,
        )

    @post(status_code=HTTPStatus.OK, request_max_body_size=MAX_FORM)
    async def decide(
        self,
        request: Request[Any, Any, Any],
        consent_id: FromPath[str],
        sessions: NamedDependency[Sessions],
        consents: NamedDependency[ConsentService],
        extensions: NamedDependency[ExtensionService],
        previews: NamedDependency[PreviewService],
    ) -> Response[Any]:
        """The subject agrees, refuses or previews; or signs out to come back as another."""
        session = await sessions.require(request)
        form = await read_form(request)
        sessions.check_csrf(session, _purpose(consent_id), form.get("csrf"))
        here = Redirect(page_path(consent_id), status_code=303)
        language = Language.EN if form.get("language") == Language.EN else Language.ZH
        csrf = sessions.csrf(session, _purpose(consent_id))
        extension = form.get("extension")
        try:
            match form.get("decision"):
                case "switch":
                    return Redirect(
                        f"{SIGN_IN}?next={quote(page_path(consent_id))}",
                        status_code=303,
                        cookies=[await sessions.end(session)],
                    )
                case "preview":
                    return await _preview(
                        request, consents, extensions, previews, consent_id, session, csrf, language, extension
                    )
                case "agree" if not sessions.decides(session):
                    return Redirect(f"{SIGN_IN}?next={quote(page_path(consent_id))}", status_code=303)
                case "refuse" if extension is not None:
                    await extensions.refuse(
                        consent_id, extension, session.subject_id, representative_id=session.representative_id
                    )
                case "refuse":
                    await _require_link(consents, consent_id, session, language)
                    await consents.reject(
                        consent_id,
                        subject_id=session.subject_id,
                        kind=session.kind,
                        representative_id=session.representative_id,
                    )
                case "agree" if extension is not None:
                    await extensions.grant(
                        consent_id, extension, session.subject_id, representative_id=session.representative_id
                    )
                case "agree":
                    notice = await _require_link(consents, consent_id, session, language)
                    if notice.digest != form.get("notice"):  # it changed since it was shown: show it again
                        return await _ask(request, consents, consent_id, session, csrf, language)
                    await consents.authorise(
                        consent_id,
                        subject_id=session.subject_id,
                        kind=session.kind,
                        notice_digest=notice.digest,
                        language=language,
                        representative_id=session.representative_id,
                    )
                case _:
                    raise XinyiError(Code.MALFORMED, "decision must be agree, refuse, preview or switch")
        except XinyiError as error:
            if error.code in _NOT_FOR_THEM:
                return _nothing(request, consent_id, session, csrf)
            raise
        return here

    @get("/copy")
    async def copy(
        self,
        request: Request[Any, Any, Any],
        consent_id: FromPath[str],
        sessions: NamedDependency[Sessions],
        consents: NamedDependency[ConsentService],
    ) -> Response[str]:
        """The signed copy of a written consent, to be read and printed."""
        session = await sessions.require(request)
        jws = await consents.copy_for(consent_id, Party.SUBJECT, session.subject_id)
        return page(request, "consents/copy.html", copy=read_copy(jws), jws=jws, path=page_path(consent_id))

    @get("/copy.jws")
    async def copy_file(
        self,
        request: Request[Any, Any, Any],
        consent_id: FromPath[str],
        sessions: NamedDependency[Sessions],
        consents: NamedDependency[ConsentService],
    ) -> Response[str]:
        """The same as a file that verifies offline."""
        session = await sessions.require(request)
        jws = await consents.copy_for(consent_id, Party.SUBJECT, session.subject_id)
        return Response(
            jws,
            media_type=MEDIA_TYPE,
            headers={
                "cache-control": "no-store",
                "content-disposition": f'attachment; filename="{read_copy(jws).consent_id}.jws"',
            },
        )


def _purpose(consent_id: str) -> str:
    return f"consent:{consent_id}"


async def _require_link(
    consents: ConsentService, consent_id: str, session: SubjectSession, language: Language
) -> Notice:
    """The notice of what was asked by link: what was asked by redirect is answered there, in the browser that began."""
    consent, notice = await consents.show(
        consent_id, subject_id=session.subject_id, kind=session.kind, language=language
    )
    if consent.channel is not Channel.LINK:
        raise XinyiError(Code.NOT_FOUND)
    return notice


async def _ask(
    request: Request[Any, Any, Any],
    consents: ConsentService,
    consent_id: str,
    session: SubjectSession,
    csrf: str,
    language: Language,
) -> Response[str]:
    notice = await _require_link(consents, consent_id, session, language)
    return consent_page(request, notice, action=page_path(consent_id), csrf=csrf, signed_in_as=session.display_name)


async def _extension(
    extensions: ExtensionService, consent: Consent, session: SubjectSession, language: Language
) -> tuple[Consent, Extension, Notice] | None:
    try:
        return await extensions.show(consent.id, session.subject_id, language)
    except XinyiError as error:
        if error.code is not Code.WRONG_STATE:
            raise
        return None


def _extend(
    request: Request[Any, Any, Any],
    session: SubjectSession,
    csrf: str,
    consent: Consent,
    extension: Extension,
    notice: Notice,
) -> Response[str]:
    return consent_page(
        request,
        notice,
        action=page_path(consent.id),
        csrf=csrf,
        signed_in_as=session.display_name,
        fields={"extension": extension.id},
        extension=extension,
    )


async def _preview(
    request: Request[Any, Any, Any],
    consents: ConsentService,
    extensions: ExtensionService,
    previews: PreviewService,
    consent_id: str,
    session: SubjectSession,
    csrf: str,
    language: Language,
    extension_id: str | None,
) -> Response[str]:
    extension = None
    if extension_id is None:
        notice = await _require_link(consents, consent_id, session, language)
    else:
        _, extension, notice = await extensions.show(consent_id, session.subject_id, language)
    preview = await previews.of_consent(consent_id, subject_id=session.subject_id, kind=session.kind)
    return preview_page(
        request,
        notice,
        previews.in_words(preview, language),
        action=page_path(consent_id),
        back=page_path(consent_id),
        csrf=csrf,
        signed_in_as=session.display_name,
        fields={} if extension is None else {"extension": extension.id},
        extension=extension,
    )


def _nothing(request: Request[Any, Any, Any], consent_id: str, session: SubjectSession, csrf: str) -> Response[str]:
    """One page for what isn't theirs, is over, or never was: whom the partner named isn't told."""
    return page(
        request,
        "consents/nothing.html",
        status=HTTPStatus.NOT_FOUND,
        action=page_path(consent_id),
        csrf=csrf,
        signed_in_as=session.display_name,
    )
