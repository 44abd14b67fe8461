"""The browser ends with this folder's last test, so that async tests elsewhere find a free event loop."""

from collections.abc import Iterator
from typing import Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.browser import DESKTOP, new_context, running_chromium


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
