"""Server-rendered pages for people: Jinja2 without a line of JavaScript, Chinese first, English by a link.

A template is named ``ROOM/FILE``: ``consents/consent.html`` stands in ``src/xinyi/consents/templates/``. Inside it:

``say("同意", "Agree")``, ``say(text)``   the words in the page's language
``name | inert``                        text that a third party chose: no control characters, bidi-isolated
``name | initial``                      the first character of such a text
``moment | local``                      a time as people in the mainland read it (UTC+8)
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from litestar import MediaType, Request, Response, get
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.response import Redirect
from markupsafe import Markup, escape

from ..kernel.clock import CHINA_TIME
from ..kernel.errors import Code, XinyiError
from ..kernel.text import Language, Text, one_line
from ..telemetry.metrics import REFUSAL
from .caching import Representation, representation, send

LANGUAGE_COOKIE: Final = "xinyi_language"
SIGN_IN: Final = "/sign-in"

_ROOMS: Final = Path(__file__).parent.parent
_STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".svg": "image/svg+xml"}
_ASSETS: Final = {
    path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in sorted(_STATIC.iterdir()) if path.suffix in _TYPES
}
_VERSIONS: Final = {name: hashlib.sha256(body).hexdigest()[:16] for name, (body, _) in _ASSETS.items()}


def page(
    request: Request[Any, Any, Any],
    name: str,
    *,
    status: int = HTTPStatus.OK,
    language: Language | None = None,
    form_targets: Sequence[str] = (),
    **context: Any,
) -> Response[str]:
    """The page ``name``, in the language of the request unless ``language`` says another.

    ``form_targets`` are origins beside our own where a form of this page may end: browsers hold ``form-action``
    against the redirect that answers a form, so the consent page (and a sign-in page whose flow may end there) must
    name the origin of the partner's redirect URI.
    """
    language = language or language_of(request)
    link = _in_language(request, _other(language)) if request.method in {"GET", "HEAD"} else None
    return Response(
        _rendered(name, language, link, context),
        media_type=MediaType.HTML,
        status_code=status,
        headers={"content-security-policy": _policy(form_targets), "cache-control": "no-store"},
        cookies=_chosen(request, language),
    )


def same_for_all(name: str, language: Language, **context: Any) -> Representation:
    """The page ``name`` as everybody sees it in this language: to be made once, and sent by :func:`send_page`."""
    link = "?" + urlencode({"lang": _other(language).value})
    return representation(_rendered(name, language, link, context).encode(), "text/html; charset=utf-8")


def send_page(request: Request[Any, Any, Any], made: Callable[[Language], Representation]) -> Response[bytes]:
    """A page that ``made`` keeps for each language."""
    language = language_of(request)
    headers = {
        "content-security-policy": _policy(()),
        "cache-control": "no-cache",
        "vary": "accept-language, cookie",
    }
    response = send(request, made(language), headers)
    response.cookies.extend(_chosen(request, language))
    return response


def _rendered(name: str, language: Language, language_link: str | None, context: Mapping[str, Any]) -> str:
    return _environment.get_template(name).render(
        language=language, other_language=_other(language), language_link=language_link, **context
    )


def _other(language: Language) -> Language:
    return Language.ZH if language is Language.EN else Language.EN


def _chosen(request: Request[Any, Any, Any], language: Language) -> list[Cookie]:
    return [_remember(request, language)] if request.query_params.get("lang") == language.value else []


def language_of(request: Request[Any, Any, Any]) -> Language:
    """The language that the reader chose (``?lang=``, else the cookie), or prefers (``ui_locales`` of OpenID Connect
    Core §3.1.2.1, else ``Accept-Language``), or Chinese."""
    chosen = (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE))
    for value in chosen:
        if value in set(Language):
            return Language(value)
    locales = (request.query_params.get("ui_locales") or "").split()
    accepted = [part.partition(";")[0].strip() for part in request.headers.get("accept-language", "").split(",")]
    for locale in (*locales, *accepted):
        primary = locale.partition("-")[0].lower()
        if primary in set(Language):
            return Language(primary)
    return Language.ZH


def on_page_error(request: Request[Any, Any, Any], error: XinyiError) -> Response[Any]:
    """For a page controller's ``exception_handlers``: the error as a page, or the way to sign in."""
    if error.code is Code.SESSION_REQUIRED and request.method == "GET":
        return Redirect(f"{SIGN_IN}?next={quote(request.url.path)}", status_code=303)
    return error_page(request, error)


def error_page(
    request: Request[Any, Any, Any], error: XinyiError, *, title: Text | None = None, note: Text | None = None
) -> Response[str]:
    """A page that says what went wrong, what the person can do (``note``), the number to quote to support, and where
    to go on: to the same page again where it was our fault, else to their own."""
    request.scope["state"][REFUSAL] = error.code.value
    status = error.definition.status
    return page(
        request,
        "web/error.html",
        status=status,
        title=title or _TITLES.get(error.code, error.definition.title),
        note=note or _NOTES.get(error.code, _NOTES[Code.INTERNAL]),
        again=request.method == "GET" and status >= HTTPStatus.INTERNAL_SERVER_ERROR,
        interaction_id=request.scope["state"].get("interaction_id"),
    )


def outcome_page(
    request: Request[Any, Any, Any], *, title: Text, note: Text, status: int = HTTPStatus.OK, back: str | None = None
) -> Response[str]:
    """A short page that says how something ended, with a link to the local path ``back``."""
    return page(request, "web/outcome.html", status=status, title=title, note=note, back=back)


@get("/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
def asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """A stylesheet or picture of the pages, cacheable for ever under the address that :func:`asset_url` gives."""
    if name not in _ASSETS:
        raise XinyiError(Code.NOT_FOUND)
    body, media_type = _ASSETS[name]
    current = request.query_params.get("v") == _VERSIONS[name]
    return Response(
        body,
        media_type=media_type,
        headers={"cache-control": "public, max-age=31536000, immutable" if current else "no-cache"},
    )


def asset_url(name: str) -> str:
    """The address of an asset, which changes with its bytes. Raises ``KeyError`` for one that isn't there."""
    return f"/assets/{name}?v={_VERSIONS[name]}"


def inert(value: str, limit: int = 80) -> Markup:
    """Text that a third party chose, made harmless: as :func:`one_line`, escaped, and isolated from the text around
    it (``bdi``)."""
    return Markup("<bdi>{}</bdi>").format(one_line(value, limit))


def initial(value: str) -> str:
    """The first letter or character of a name that a third party chose, to stand for it beside the name."""
    return next((character for character in one_line(value, 80) if character.isalnum()), "·")


def local(moment: datetime, language: Language) -> str:
    """A moment as it is read in the mainland, to the minute: ``2026年11月2日 16:00`` or ``2 November 2026, 16:00``."""
    there = moment.astimezone(CHINA_TIME)
    if language is Language.EN:
        return f"{there.day} {_MONTHS[there.month - 1]} {there.year}, {there:%H:%M}"
    return f"{there.year}年{there.month}月{there.day}日 {there:%H:%M}"


_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_TITLES: Final = {
    Code.NOT_FOUND: Text("没有找到这个页面", "This page isn't here"),
    Code.METHOD_NOT_ALLOWED: Text("这个地址不能直接打开", "This address can't be opened by itself"),
    Code.CSRF: Text("页面已过期", "The page is out of date"),
    Code.WRONG_STATE: Text("情况已有变化", "Something has changed"),
    Code.PARTNER_SUSPENDED: Text("这家机构已被暂停", "This partner is suspended"),
    Code.INTERNAL: Text("出了点问题", "Something went wrong"),
}
"""Where the words for a program (``kernel.errors``) say little to a person."""

_NOTES: Final = {
    Code.NOT_FOUND: Text(
        "地址可能有误，或者这一页不属于您目前登录的身份。",
        "The address may be wrong, or the page belongs to another identity than the one you are signed in with.",
    ),
    Code.METHOD_NOT_ALLOWED: Text(
        "它只接收页面上的按钮提交的内容，现在什么也没有执行。",
        "It takes what a button on a page sends. Nothing was done now.",
    ),
    Code.CSRF: Text(
        "为了您的安全，页面只在一段时间内有效，本次操作没有执行。请返回上一页，刷新后重试。",
        "For your safety a page works for a limited time, so nothing was done. Go back, reload it and try again.",
    ),
    Code.WRONG_STATE: Text(
        "它的状态已经改变，本次操作没有执行。请返回查看最新状态。",
        "Its state has changed meanwhile, so nothing was done. Go back to see how it stands now.",
    ),
    Code.PARTNER_SUSPENDED: Text(
        "它暂时不能请求授权，也得不到任何答复。您不需要做什么；已有的授权仍可随时撤回。",
        "It can ask for no consent and gets no answer for now. You need do nothing, and can withdraw what you gave.",
    ),
    Code.UNAVAILABLE: Text(
        "本次操作没有完成。请等几秒再试；如问题持续，请向客服提供下方编号。",
        "This wasn't completed. Wait a few seconds and try again; if it keeps happening, quote the number below.",
    ),
    Code.SESSION_REQUIRED: Text(
        "您的登录已结束，本次操作没有执行。请重新登录。",
        "Your session has ended, so nothing was done. Please sign in again.",
    ),
    Code.INTERNAL: Text(
        "本次操作没有完成，请稍后重试。如问题持续，请向客服提供下方编号。",
        "This wasn't completed. Please try again later; if it keeps happening, quote the number below.",
    ),
}


def _policy(form_targets: Sequence[str]) -> str:
    forms = " ".join(("'self'", *form_targets))
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {forms}"
    )


def _in_language(request: Request[Any, Any, Any], language: Language) -> str:
    """The same address in another language."""
    query = [(k, v) for k, v in parse_qsl(request.url.query, keep_blank_values=True) if k != "lang"]
    return "?" + urlencode([*query, ("lang", language.value)])


def _remember(request: Request[Any, Any, Any], language: Language) -> Cookie:
    return Cookie(
        key=LANGUAGE_COOKIE,
        value=language.value,
        path="/",
        max_age=365 * 86400,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


@pass_context
def _say(context: Context, zh: str | Text, en: str | None = None) -> str:
    text = zh if isinstance(zh, Text) else Text(zh, en or "")
    return text.of(context["language"])


@pass_context
def _local(context: Context, moment: datetime) -> Markup:
    text = local(moment, context["language"])
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), escape(text))


_environment: Final = Environment(
    loader=PrefixLoader({folder.parent.name: FileSystemLoader(folder) for folder in _ROOMS.glob("*/templates")}),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_environment.globals.update(say=_say, asset_url=asset_url)
_environment.filters.update(inert=inert, initial=initial, local=_local)
