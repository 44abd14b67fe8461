"""``/docs``: the API document for people, with no script and nothing from elsewhere."""

import re
from collections.abc import AsyncGenerator

import httpx
import pytest
import yaml

from tests.support.oauth import ISSUER, Platform, running_platform
from tests.support.pairs import Pair
from xinyi.app import api_document
from xinyi.openapi.views import inline, prose

both = pytest.mark.parametrize("language", ["zh", "en"])


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncGenerator[Platform]:
    async with running_platform(tmp_path_factory.mktemp("platform"), pair) as running:
        yield running


async def shown(platform: Platform, language: str) -> httpx.Response:
    return await platform.http.get("/docs", params={"lang": language})


@both
async def test_it_shows_every_operation_under_its_own_anchor(platform: Platform, language: str) -> None:
    page = await shown(platform, language)
    for path, item in api_document()["paths"].items():
        for operation in item.values():
            assert page.text.count(f'id="{operation["operationId"]}"') == 1
            assert f'href="#{operation["operationId"]}"' in page.text
            assert f"<code>{path}</code>" in page.text


@both
async def test_it_needs_nothing_from_elsewhere_and_no_script(platform: Platform, language: str) -> None:
    page = await shown(platform, language)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "script" not in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert " style=" not in page.text
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page.text)


@both
async def test_its_links_lead_somewhere_on_it(platform: Platform, language: str) -> None:
    page = await shown(platform, language)
    targets = set(re.findall(r'href="#([^"]+)"', page.text))
    assert targets <= set(re.findall(r'id="([^"]+)"', page.text))


@both
async def test_it_shows_examples_and_how_to_call(platform: Platform, language: str) -> None:
    page = await shown(platform, language)
    assert f"curl -X POST {ISSUER}/v1/checks" in page.text
    assert "LOAN-2026-000123" in page.text
    assert "consent_withdrawn" in page.text


async def test_the_files_are_the_document_with_this_server(platform: Platform) -> None:
    as_json = await platform.http.get("/docs/openapi.json")
    as_yaml = await platform.http.get("/docs/openapi.yaml")
    assert as_json.headers["content-type"] == "application/json"
    assert as_yaml.headers["content-type"].startswith("application/yaml")
    assert as_json.json() == yaml.safe_load(as_yaml.text)
    assert as_json.json()["paths"] == api_document()["paths"]
    assert [server["url"] for server in as_json.json()["servers"]] == [ISSUER]


async def test_the_first_page_leads_to_it(platform: Platform) -> None:
    page = await platform.http.get("/")
    assert page.status_code == 200
    assert 'href="/docs"' in page.text
    assert 'href="/me"' in page.text


async def test_error_codes_are_listed_where_problems_point(platform: Platform) -> None:
    problem = (await platform.http.get("/v1/nothing")).json()
    address, _, code = problem["type"].partition("#")
    listed = (await platform.http.get(address)).json()["data"]
    (found,) = [each for each in listed if each["code"] == code]
    assert found == {"code": "not_found", "status": 404, "title": {"zh": "不存在", "en": "Not found"}}


def test_texts_are_shown_as_text_whatever_they_hold() -> None:
    assert inline("`<b>` & **x**") == "<code>&lt;b&gt;</code> &amp; <strong>x</strong>"
    assert prose("one\ntwo\n\n<script>") == "<p>one two</p><p>&lt;script&gt;</p>"


@pytest.mark.parametrize("path", ["/", "/docs", "/docs?lang=en", "/docs/openapi.json", "/docs/openapi.yaml"])
async def test_what_is_the_same_for_all_is_made_once_and_revalidated(
    platform: Platform, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await platform.http.get(path)
    made: list[str] = []
    for maker in ("jinja2.Template.render", "yaml.dump", "msgspec.json.encode"):
        monkeypatch.setattr(maker, lambda *_, maker=maker, **__: made.append(maker))
    again = await platform.http.get(path)
    held = await platform.http.get(path, headers={"if-none-match": first.headers["etag"]})
    monkeypatch.undo()
    assert made == []
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (held.status_code, held.content, held.headers["etag"]) == (304, b"", first.headers["etag"])


async def test_each_language_is_kept_apart(platform: Platform) -> None:
    zh, en = [await platform.http.get(f"/docs?lang={language}&x=1") for language in ("zh", "en")]
    assert zh.headers["etag"] != en.headers["etag"]
    assert zh.headers["vary"] == "accept-language, cookie"
    assert "xinyi_language=en" in en.headers["set-cookie"]
    assert "x=1" not in zh.text
