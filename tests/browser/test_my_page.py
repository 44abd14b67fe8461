"""``/me`` in a real browser: what I agreed to, who looked, what is recorded, and taking all of it along."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.installation import Installation
from tests.support.accessibility import accessibility_faults
from tests.support.browser import DESKTOP, PHONE
from xinyi_sdk import Consent, verify_receipt

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


def sign_in(installation: Installation, page: Page, persona: str, path: str = "/me") -> None:
    page.goto(f"{installation.url}{path}")
    page.locator(f'button[name="persona"][value="{persona}"]').click()
    page.wait_for_url(f"{installation.url}{path}")


def size_name(size: tuple[int, int]) -> str:
    return "phone" if size == PHONE else "desktop"


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
    expect(past.locator("li", has=page.locator(f"#name-{earlier.id}"))).to_contain_text("已由您后来的同意取代")


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
@pytest.mark.parametrize(
    ("scheme", "size"),
    [pytest.param("light", PHONE, id="light-phone"), pytest.param("dark", DESKTOP, id="dark-desktop")],
)
def test_no_page_has_an_accessibility_fault_or_scrolls_sideways(
    installation: Installation, open_page: OpenPage, picture: Picture, locale: str, scheme: str, size: tuple[int, int]
) -> None:
    page = open_page(size, locale=locale)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    consent = give(installation, page, "bike-deposit", "person-e")
    installation.bank.sdk.checks.create(scenario="bike-deposit", consent_id=consent.id, reference="RIDE-2026-000123")
    for name in ("", "/access-log", "/records", "/data", "/print"):
        page.goto(f"{installation.url}/me{name}")
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert accessibility_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
        picture(page, f"me{name.replace('/', '-')}-{size_name(size)}-{locale[:2]}-{scheme}")


def test_who_looked_is_shown_with_a_proof_that_verifies_elsewhere(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page = open_page(DESKTOP, javascript=False)
    page.goto(f"{installation.url}/me")
    page.locator('button[name="persona"][value="company-a"]').click()
    consent = give(installation, page, "microloan-prescreen", "company-a")
    answer = installation.bank.sdk.checks.create(
        scenario="microloan-prescreen", consent_id=consent.id, reference="LOAN-2026-000123"
    )
    page.goto(f"{installation.url}/me/access-log")
    entry = page.locator("li", has=page.locator(f"#name-{answer.id}"))
    expect(entry).to_contain_text("示例银行")
    expect(entry).to_contain_text("LOAN-2026-000123")
    expect(entry).to_contain_text("已写入公开账本，此后不能更改或删除")
    expect(page.locator("main")).to_contain_text("并不证明没有别的记录")
    entry.get_by_text("在别处核对这一条").click()
    picture(page, "me-access-log-company")
    with page.expect_download() as download:
        entry.get_by_role("link", name="连同内容下载").click()
    kept = json.loads(download.value.path().read_text("utf-8"))
    assert kept["answer"]["disclosed"] == {"tax-rating": {"grade": "A"}}
    keys = page.request.get(f"{installation.url}/v1/ledger/jwks").json()
    verified = verify_receipt(kept["receipt"], keys, answer=kept["answer"], reference="LOAN-2026-000123")
    assert verified.outcome == "met"


def test_a_record_is_contested_and_kept_back_without_a_script(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page = open_page(PHONE, javascript=False)
    sign_in(installation, page, "person-a", "/me/records")
    mine = page.locator("section", has=page.locator("#records"))
    record = mine.locator("li", has=page.get_by_role("heading", name="社会保险费"))
    record.get_by_text("对这条记录有异议").click()
    record.get_by_label("哪里不对").fill("漏记了2026年9月。")
    record.get_by_role("button", name="提出异议").click()
    expect(record.locator(".tag")).to_have_text("有异议，暂不使用")
    expect(record).to_contain_text("漏记了2026年9月。")
    page.get_by_label("场景与信息事项").select_option("bike-deposit/HONOUR")
    page.get_by_role("button", name="不予提供").click()
    expect(page.locator("section", has=page.locator("#withhold"))).to_contain_text("不提供给：信易行·共享单车免押")
    honour = page.locator("li", has=page.get_by_role("heading", name="表彰奖励"))
    honour.get_by_role("button", name="不予记入").click()
    expect(honour.locator(".tag")).to_have_text("不予记入")
    picture(page, "me-records-contested")
    record.get_by_role("button", name="撤销异议").click()
    expect(record.locator(".tag")).to_have_text("在用")


def test_a_notice_after_use_waits_in_the_portal(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page = open_page(PHONE, javascript=False)
    consent = give(installation, page, "bike-deposit", "person-f")
    page.goto(f"{installation.url}/me/data")
    page.get_by_role("button", name="开启通知").click()
    installation.bank.sdk.checks.create(scenario="bike-deposit", consent_id=consent.id, reference="RIDE-7")
    page.goto(f"{installation.url}/me")
    expect(page.locator("main")).to_contain_text("又被核验了 1 次")
    picture(page, "me-inbox")
    page.get_by_role("button", name="查看是谁").click()
    expect(page.locator("main")).to_contain_text("RIDE-7")
    page.goto(f"{installation.url}/me")
    expect(page.locator("main")).not_to_contain_text("又被核验了")


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
