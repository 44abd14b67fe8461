"""The browser ends with this folder's last test, so that async tests elsewhere find a free event loop."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.installation import Installation, running_installation
from tests.support.browser import BUILD, DESKTOP, new_context, running_chromium

ARTIFACTS = BUILD / "screenshots"


class OpenPage(Protocol):
    """Opens a page for a new visitor; the visitor's context is closed after the test."""

    def __call__(self, size: tuple[int, int] = DESKTOP, *, locale: str = "zh-CN", javascript: bool = True) -> Page: ...


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    contexts: list[BrowserContext] = []

    def open_page(size: tuple[int, int] = DESKTOP, *, locale: str = "zh-CN", javascript: bool = True) -> Page:
        contexts.append(new_context(chromium, size, locale=locale, javascript=javascript))
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with running_installation(tmp_path_factory.mktemp("installation")) as running:
        yield running


@pytest.fixture
def picture() -> Callable[[Page, str], Path]:
    """Keeps a picture of the whole page among the test artifacts (``.build/screenshots``)."""

    def picture(page: Page, name: str) -> Path:
        path = ARTIFACTS / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        page.wait_for_load_state()
        size = page.viewport_size
        assert size is not None
        # A window as high as the page, so that what sticks to its lower edge stands where it belongs.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
        page.screenshot(path=path)
        page.set_viewport_size(size)
        return path

    return picture
