"""``/me`` in a real browser: what I agreed to, and ending it with one click."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.installation import Installation
from tests.support.accessibility import accessibility_faults
from tests.support.browser import DESKTOP, PHONE
from xinyi_sdk import Consent

Picture = Callable[[Page, str], Path]


def give(installation: Installation, page: Page, scenario: str, persona: str) -> Consent:
    """A consent that the persona gives in this browser; they stay signed in."""
    request = installation.bank.ask(scenario)
    page.goto(request.url)
    if page.locator('button[name="persona"]').count():
        page.locator(f'button[name="persona"][value="{persona}"]').click()
    page.locator('button[name="decision"][value="agree"]').click()
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    return installation.bank.sdk.consents.finish(page.url, request)


def state(installation: Installation, consent: Consent) -> str:
    return installation.bank.sdk.consents.get(consent.id).state


@pytest.mark.parametrize("size", [pytest.param(PHONE, id="phone"), pytest.param(DESKTOP, id="desktop")])
def test_one_click_withdraws_at_once(
    installation: Installation, open_page: OpenPage, picture: Picture, size: tuple[int, int]
) -> None:
    page = open_page(size, javascript=False)
    ended = give(installation, page, "home-rental-deposit", "person-c")
    kept = give(installation, page, "bike-deposit", "person-c")
    page.goto(f"{installation.url}/me")
    picture(page, f"me-{'phone' if size == PHONE else 'desktop'}-before")
    page.locator("li", has=page.locator(f"#name-{ended.id}")).get_by_role("button", name="撤回授权").click()
    expect(page.locator("section", has_text="已结束").locator(f"#name-{ended.id}")).to_be_visible()
    assert state(installation, ended) == "withdrawn"
    assert state(installation, kept) == "authorised"
    picture(page, f"me-{'phone' if size == PHONE else 'desktop'}-after")


def test_agreeing_again_leaves_one_consent(installation: Installation, open_page: OpenPage) -> None:
    page = open_page()
    earlier = give(installation, page, "bike-deposit", "person-f")
    given = give(installation, page, "bike-deposit", "person-f")
    page.goto(f"{installation.url}/me")
    current = page.locator("section", has=page.locator("#current"))
    expect(current.locator("h3")).to_have_count(1)
    expect(current).to_contain_text(given.id)
    past = page.locator("section", has=page.locator("#past"))
    expect(past.locator("li", has=page.locator(f"#name-{earlier.id}"))).to_contain_text("您作出了新的同意")


def test_a_consent_is_paused_and_resumed(installation: Installation, open_page: OpenPage) -> None:
    page = open_page()
    consent = give(installation, page, "bike-deposit", "person-b")
    page.goto(f"{installation.url}/me")
    mine = page.locator("li", has=page.locator(f"#name-{consent.id}"))
    mine.get_by_role("button", name="暂停").click()
    expect(mine.locator(".tag")).to_have_text("已暂停")
    assert state(installation, consent) == "paused"
    mine.get_by_role("button", name="恢复").click()
    expect(mine.locator(".tag")).to_have_text("有效")
    assert state(installation, consent) == "authorised"


@pytest.mark.parametrize("locale", ["zh-CN", "en-GB"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_accessibility_fault(
    installation: Installation, open_page: OpenPage, picture: Picture, locale: str, scheme: str
) -> None:
    page = open_page(PHONE, locale=locale)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    give(installation, page, "bike-deposit", "person-e")
    page.goto(f"{installation.url}/me")
    assert accessibility_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    picture(page, f"me-phone-{locale[:2]}-{scheme}")


def test_an_empty_page_says_that_nobody_can_check(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page = open_page(PHONE)
    page.goto(f"{installation.url}/me")
    page.locator('button[name="persona"][value="person-d"]').click()
    expect(page.get_by_role("heading", level=1)).to_have_text("我的授权")
    expect(page.locator("main")).to_contain_text("任何机构都不能核验您的记录")
    picture(page, "me-empty")


def test_signing_out_leads_back_to_the_sign_in(installation: Installation, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{installation.url}/me")
    page.locator('button[name="persona"][value="person-d"]').click()
    page.get_by_role("button", name="退出").click()
    page.wait_for_url(f"{installation.url}/sign-in")
    page.goto(f"{installation.url}/me")
    page.wait_for_url(f"{installation.url}/sign-in?next=/me")


def test_the_page_of_another_subject_does_not_show_my_consent(installation: Installation, open_page: OpenPage) -> None:
    consent = give(installation, open_page(), "bike-deposit", "person-f")
    page = open_page()
    page.goto(f"{installation.url}/me")
    page.locator('button[name="persona"][value="person-d"]').click()
    expect(page.get_by_role("heading", level=1)).to_have_text("我的授权")
    assert consent.id not in page.content()
