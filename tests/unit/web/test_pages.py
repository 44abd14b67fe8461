"""Pages: the reader's language, third parties' names made inert, and what a browser is told to allow."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response, get, post

from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Language
from xinyi.web.middleware import ExchangeMiddleware
from xinyi.web.pages import asset, asset_url, error_page, inert, language_of, local, on_page_error, page


@get("/language")
async def language(request: Request[Any, Any, Any]) -> str:
    return language_of(request)


@get("/page")
async def shown(request: Request[Any, Any, Any]) -> Response[str]:
    return page(
        request,
        "web/error.html",
        form_targets=["https://partner.example"],
        title=XinyiError(Code.NOT_FOUND).definition.title,
        note=XinyiError(Code.NOT_FOUND).definition.title,
        interaction_id=None,
        again=False,
    )


@get("/mine", exception_handlers={XinyiError: on_page_error})
async def mine() -> None:
    raise XinyiError(Code.SESSION_REQUIRED)


@post("/mine", exception_handlers={XinyiError: on_page_error})
async def change_mine() -> None:
    raise XinyiError(Code.SESSION_REQUIRED)


@get("/broken")
async def broken(request: Request[Any, Any, Any]) -> Response[str]:
    return error_page(request, XinyiError(Code.CSRF, "a detail for developers"))


@get("/down")
async def down(request: Request[Any, Any, Any]) -> Response[str]:
    return error_page(request, XinyiError(Code.UNAVAILABLE))


@asynccontextmanager
async def browsing() -> AsyncGenerator[httpx.AsyncClient]:
    app: Any = Litestar(
        [language, shown, mine, change_mine, broken, down, asset], openapi_config=None, logging_config=None
    )
    app.asgi_handler = ExchangeMiddleware(app.asgi_handler, secure=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("", {}, "zh"),
        ("?lang=en", {}, "en"),
        ("?lang=fr", {}, "zh"),
        ("", {"accept-language": "en-GB,en;q=0.9,zh;q=0.8"}, "en"),
        ("", {"accept-language": "fr, zh-TW;q=0.9, en;q=0.1"}, "zh"),
        ("?ui_locales=en-US%20zh", {}, "en"),
        ("", {"cookie": "xinyi_language=en"}, "en"),
        ("?lang=zh", {"cookie": "xinyi_language=en", "accept-language": "en"}, "zh"),
        ("?ui_locales=en", {"cookie": "xinyi_language=zh"}, "zh"),
        ("", {"cookie": "xinyi_language=<script>"}, "zh"),
    ],
)
async def test_the_language_is_the_readers_choice_else_their_preference_else_chinese(
    query: str, headers: Mapping[str, str], expected: str
) -> None:
    async with browsing() as http:
        assert (await http.get(f"/language{query}", headers=headers)).text == expected


async def test_a_chosen_language_is_remembered_and_an_assumed_one_is_not() -> None:
    async with browsing() as http:
        assert "set-cookie" not in (await http.get("/page", headers={"accept-language": "en"})).headers
        assert "xinyi_language=en" in (await http.get("/page?lang=en")).headers["set-cookie"]
        assert '<html lang="en"' in (await http.get("/page")).text


async def test_the_link_to_the_other_language_keeps_the_query() -> None:
    async with browsing() as http:
        text = (await http.get("/page?a=1%26b&lang=zh&a=2")).text
    assert 'href="?a=1%26b&amp;a=2&amp;lang=en"' in text


async def test_a_browser_runs_no_script_frames_nothing_and_keeps_no_copy() -> None:
    async with browsing() as http:
        response = await http.get("/page")
    assert response.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "form-action 'self' https://partner.example"
    )
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_an_asset_is_kept_for_ever_under_the_address_of_its_bytes() -> None:
    async with browsing() as http:
        current = await http.get(asset_url("xinyi.css"))
        other = await http.get("/assets/xinyi.css?v=old")
    assert current.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in current.headers["cache-control"]
    assert other.headers["cache-control"] == "no-cache"


async def test_who_is_not_signed_in_is_sent_to_sign_in_when_they_only_look() -> None:
    async with browsing() as http:
        looked, changed = await http.get("/mine"), await http.post("/mine")
    assert (looked.status_code, looked.headers["location"]) == (303, "/sign-in?next=/mine")
    assert changed.status_code == 401
    assert "<h1>" in changed.text


async def test_an_error_page_speaks_to_the_person_and_gives_a_number_to_quote() -> None:
    number = "6ba7b814-9dad-41d1-80b4-00c04fd430c8"
    async with browsing() as http:
        response = await http.get("/broken", headers={"x-fapi-interaction-id": number})
    assert response.status_code == 403
    assert number in response.text
    assert "a detail for developers" not in response.text


@pytest.mark.parametrize(("path", "ways"), [("/broken", ["/me", "/"]), ("/down", ["", "/"])])
async def test_an_error_page_leads_on_to_the_same_page_again_where_the_fault_is_ours(
    path: str, ways: list[str]
) -> None:
    async with browsing() as http:
        text = (await http.get(path)).text
    assert re.findall(r'<a class="button" href="([^"]*)">', text) == ways


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("示例银行", "示例银行"),
        ("<b>A</b> & 'B'", "&lt;b&gt;A&lt;/b&gt; &amp; &#39;B&#39;"),
        ("abc\u202etxt.exe\u2066", "abctxt.exe"),
        ("a\x00b\u200bc\ufeffd", "abcd"),
        ("a\r\n\t  b", "a b"),
        ("长" * 100, "长" * 79 + "…"),
        ("", ""),
    ],
)
def test_a_third_partys_name_is_escaped_isolated_and_on_one_line(name: str, shown: str) -> None:
    assert inert(name) == f"<bdi>{shown}</bdi>"


def test_times_are_those_of_a_clock_on_the_wall_in_the_mainland() -> None:
    late = datetime(2026, 11, 2, 17, 5, tzinfo=UTC)
    assert local(late, Language.ZH) == "2026年11月3日 01:05"
    assert local(late, Language.EN) == "3 November 2026, 01:05"
