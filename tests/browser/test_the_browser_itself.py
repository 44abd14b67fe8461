"""What the other browser tests rest on."""

import pytest
from playwright.sync_api import Error

from tests.browser.conftest import OpenPage
from tests.support.accessibility import accessibility_faults
from tests.support.browser import PHONE

PAGE = """<!doctype html><html lang="zh"><meta charset="utf-8">
<style>span {{ font: 40px/1 "PingFang SC", sans-serif }}</style><span id="text">{text}</span></html>"""


def picture(page_opener: OpenPage, text: str) -> bytes:
    page = page_opener(PHONE)
    page.set_content(PAGE.format(text=text))
    return page.locator("#text").screenshot()


def test_chinese_characters_have_glyphs_of_their_own(open_page: OpenPage) -> None:
    """Characters without a glyph are all drawn as the same box."""
    assert picture(open_page, "信用") != picture(open_page, "授权")


def test_no_page_reaches_another_machine(open_page: OpenPage) -> None:
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        open_page().goto("http://credit.example/")


def test_accessibility_faults_are_found_under_a_strict_policy(open_page: OpenPage) -> None:
    page = open_page()
    policy = {"content-security-policy": "default-src 'none'"}
    body = "<!doctype html><title>t</title><img src=x>"
    page.route("**/*", lambda route: route.fulfill(body=body, content_type="text/html", headers=policy))
    page.goto("http://127.0.0.1:1/")
    assert {fault.partition(":")[0] for fault in accessibility_faults(page)} >= {"image-alt", "html-has-lang"}
