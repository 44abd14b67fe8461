"""``/docs`` in a real browser: links open what they lead to, nothing runs over the edge, everybody can read it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.installation import Installation
from tests.support.accessibility import accessibility_faults
from tests.support.browser import DESKTOP, PHONE

SIZES = [pytest.param(PHONE, id="phone"), pytest.param(DESKTOP, id="desktop")]
OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("size", SIZES)
def test_a_link_to_an_operation_opens_it(
    installation: Installation,
    open_page: OpenPage,
    picture: Callable[[Page, str], Path],
    size: tuple[int, int],
) -> None:
    page = open_page(size, javascript=False)
    page.goto(f"{installation.url}/docs#createCheck")
    expect(page.locator("#createCheck")).to_be_visible()
    expect(page.locator("#getCheck")).to_be_hidden()
    page.locator("summary", has_text="/v1/checks/{check_id}").first.click()
    expect(page.locator("#getCheck")).to_be_visible()
    picture(page, f"reference-{size[0]}")


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
@pytest.mark.parametrize("size", SIZES)
def test_everybody_can_read_it(
    installation: Installation, open_page: OpenPage, size: tuple[int, int], locale: str
) -> None:
    page = open_page(size, locale=locale)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(f"{installation.url}/docs")
    page.evaluate(OPEN_ALL)
    assert page.evaluate(WIDER) <= 0
    assert accessibility_faults(page) == []
    assert messages == []


def test_the_first_page_is_short_and_readable(installation: Installation, open_page: OpenPage) -> None:
    page = open_page(PHONE)
    page.goto(installation.url)
    assert accessibility_faults(page) == []
    page.get_by_role("link", name="接口文档").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("接口文档")
