"""The consent page in a real browser: everything that has to be said, and a real choice."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.installation import Installation
from tests.support.accessibility import accessibility_faults
from tests.support.browser import DESKTOP, PHONE
from xinyi.sandbox.personas import personas
from xinyi_sdk import ConsentRequest, ConsentWithdrawn

Picture = Callable[[Page, str], Path]
SIZES = [pytest.param(PHONE, id="phone"), pytest.param(DESKTOP, id="desktop")]
PERSONAS = {persona.id: persona for persona in personas()}


def sign_in(page: Page, persona: str) -> None:
    page.locator(f'button[name="persona"][value="{persona}"]').click()


def consent_page(page: Page, request: ConsentRequest, persona: str) -> None:
    """From the partner's link, through the sign-in, to the consent page."""
    page.goto(request.url)
    sign_in(page, persona)
    expect(page.locator('button[name="decision"][value="agree"]')).to_be_visible()


def answer(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("locale", "said"),
    [
        (
            "zh-CN",
            [
                "示例银行",
                "快速受理，减少材料",  # the incentive
                "纳税缴费信用级别",  # the facts …
                "连续不少于 12 个月",
                "说明企业稳定用工",  # … and why each is needed
                "会知道",
                "不会知道",
                "任何其他记录",
                "书面同意",
                "90 天",
                "可多次核验",
                "365 天",  # the retention
                "不同意也可以",
                "照常提交材料，按普通流程申请",  # the fallback
                "一键撤回",
                "您的权利",
                "rights@credit-centre.example",
                "示例小微企业甲",  # who decides
            ],
        ),
        (
            "en-GB",
            [
                "Sample Bank",
                "A fast lane with fewer papers",
                "Tax payment credit grade",
                "At least 12 months in a row",
                "It says that the business keeps its staff",
                "They learn",
                "They don't learn",
                "Any other record",
                "Written consent",
                "90 days",
                "365 days",
                "You may say no",
                "Apply in the ordinary way",
                "Withdraw or pause it at any time",
                "Your rights",
                "rights@credit-centre.example",
                "Sample Company A",
            ],
        ),
    ],
)
def test_the_page_says_everything_in_both_languages(
    installation: Installation,
    open_page: OpenPage,
    picture: Picture,
    size: tuple[int, int],
    locale: str,
    said: list[str],
) -> None:
    page = open_page(size, locale=locale)
    consent_page(page, installation.bank.ask("microloan-prescreen"), "company-a")
    text = page.locator("body").inner_text()
    assert [part for part in said if part not in text] == []
    assert page.locator("html").get_attribute("lang") == ("zh-Hans" if locale == "zh-CN" else "en")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    picture(page, f"consent-{'phone' if size == PHONE else 'desktop'}-{locale[:2]}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_have_no_accessibility_fault(
    installation: Installation, open_page: OpenPage, picture: Picture, size: tuple[int, int], scheme: str
) -> None:
    page = open_page(size)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(installation.bank.ask("home-rental-deposit").url)
    assert accessibility_faults(page) == []
    name = "phone" if size == PHONE else "desktop"
    picture(page, f"sign-in-{name}-{scheme}")
    sign_in(page, "person-a")
    expect(page.locator(".decision")).to_be_visible()
    assert accessibility_faults(page) == []
    picture(page, f"consent-home-{name}-{scheme}")


def test_english_is_one_link_away_and_stays(installation: Installation, open_page: OpenPage) -> None:
    page = open_page()
    consent_page(page, installation.bank.ask("home-rental-deposit"), "person-a")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("button", name="Refuse")).to_be_visible()
    page.goto(f"{installation.url}/me")
    expect(page.get_by_role("heading", name="My consents")).to_be_visible()


def test_refusing_weighs_as_much_as_agreeing(installation: Installation, open_page: OpenPage) -> None:
    page = open_page(PHONE)
    consent_page(page, installation.bank.ask("home-rental-deposit"), "person-a")
    refuse = page.locator('button[name="decision"][value="refuse"]')
    agree = page.locator('button[name="decision"][value="agree"]')
    size = "element => [element.offsetWidth, element.offsetHeight]"
    style = (
        "element => ['color', 'backgroundColor', 'borderColor', 'font'].map(name => getComputedStyle(element)[name])"
    )
    assert refuse.evaluate(size) == agree.evaluate(size)
    assert refuse.evaluate(style) == agree.evaluate(style)
    assert refuse.evaluate(size)[1] >= 44, "large enough for a thumb"


def test_agreeing_gives_the_partner_a_consent(installation: Installation, open_page: OpenPage) -> None:
    page = open_page(PHONE)
    request = installation.bank.ask("home-rental-deposit")
    consent_page(page, request, "person-a")
    page.get_by_role("button", name="同意", exact=True).click()
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    consent = installation.bank.sdk.consents.finish(page.url, request)
    assert installation.bank.sdk.consents.get(consent.id).state == "authorised"


def test_refusing_takes_the_person_back_and_gives_no_reason(installation: Installation, open_page: OpenPage) -> None:
    page = open_page(PHONE)
    consent_page(page, installation.bank.ask("home-rental-deposit"), "person-a")
    page.get_by_role("button", name="不同意").click()
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    assert set(answer(page.url)) == {"error", "state", "iss"}
    assert answer(page.url)["error"] == "access_denied"


def test_another_subject_than_the_named_one_may_switch_or_go_back(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page = open_page(PHONE)
    named = PERSONAS["person-b"].identifier.value
    page.goto(installation.bank.ask("home-rental-deposit", named).url)
    sign_in(page, "person-a")
    expect(page.get_by_role("heading", level=1)).to_have_text("当前身份不能作出决定")
    assert accessibility_faults(page) == []
    picture(page, "not-theirs-phone")
    page.get_by_role("button", name="返回").click()
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    assert set(answer(page.url)) == {"error", "state", "iss"}
    assert answer(page.url)["error"] == "access_denied"
    page.goto(installation.bank.ask("home-rental-deposit", named).url)
    page.get_by_role("button", name="换一个身份").click()
    sign_in(page, "person-b")
    page.get_by_role("button", name="同意", exact=True).click()
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    assert "code" in answer(page.url)


def test_one_browser_is_enough_for_two_people(installation: Installation, open_page: OpenPage) -> None:
    """The tutorial: Resident A's bicycle needs no deposit, Resident D's does, and A withdraws."""
    page = open_page()
    sdk = installation.bank.sdk
    outcomes = {}
    for persona, switching in (("person-a", False), ("person-d", True)):
        request = installation.bank.ask("bike-deposit")
        page.goto(request.url)
        if switching:
            page.get_by_role("button", name="换一个身份").click()
        sign_in(page, persona)
        expect(page.locator(".decision")).to_contain_text(PERSONAS[persona].name.zh)
        page.get_by_role("button", name="同意", exact=True).click()
        page.wait_for_url(f"{installation.bank.redirect_uri}?**")
        consent = sdk.consents.finish(page.url, request)
        outcomes[persona] = sdk.checks.create(scenario="bike-deposit", consent_id=consent.id, reference=persona).outcome
    assert outcomes == {"person-a": "met", "person-d": "not_evidenced"}
    page.goto(f"{installation.url}/me")
    mine = page.locator("li", has=page.locator(f"#name-{consent.id}"))
    expect(mine).to_contain_text(consent.id)
    mine.get_by_role("button", name="撤回授权").click()
    with pytest.raises(ConsentWithdrawn):
        sdk.checks.create(scenario="bike-deposit", consent_id=consent.id, reference="again")


@pytest.mark.parametrize(("decision", "member"), [("agree", "code"), ("refuse", "error")])
def test_the_keyboard_is_enough(installation: Installation, open_page: OpenPage, decision: str, member: str) -> None:
    page = open_page()
    page.goto(installation.bank.ask("home-rental-deposit").url)
    _tab_to(page, "persona", "person-a")
    page.keyboard.press("Enter")
    page.wait_for_selector(".decision button")
    _tab_to(page, "decision", decision)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    assert member in answer(page.url)


def _tab_to(page: Page, name: str, value: str) -> None:
    focused = "() => { const e = document.activeElement; return [e.name || '', e.value || ''] }"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == [name, value]:
            outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "the focus is visible"
            return
    raise AssertionError(f"the keyboard doesn't reach {name}={value}")


def test_no_script_is_needed_and_none_is_there(installation: Installation, open_page: OpenPage) -> None:
    page = open_page(javascript=False)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.resource_type))
    consent_page(page, installation.bank.ask("home-rental-deposit"), "person-a")
    page.get_by_role("button", name="同意", exact=True).click()
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    assert "code" in answer(page.url)
    assert set(requests) <= {"document", "stylesheet", "image"}


def test_a_partners_name_cannot_act_on_the_page(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page = open_page(PHONE, locale="en-GB")
    alarms: list[str] = []
    page.on("dialog", lambda dialog: alarms.append(dialog.message))
    consent_page(page, installation.hostile.ask("home-rental-deposit"), "person-a")
    name = page.locator("h1 bdi")
    assert name.inner_text() == "Evil<script>alert(1)</script> Bank"
    assert name.locator("*").count() == 0
    assert alarms == []
    picture(page, "consent-hostile-name")


def test_a_used_request_says_so_instead_of_asking_again(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page = open_page(PHONE)
    request = installation.bank.ask("home-rental-deposit")
    consent_page(page, request, "person-a")
    page.get_by_role("button", name="不同意").click()
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    response = page.goto(request.url)
    assert response is not None
    assert response.status == 400
    expect(page.get_by_role("alert")).to_contain_text("请回到发起请求的机构页面")
    picture(page, "request-gone")


def test_the_person_looks_ahead_without_a_script(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    """What they see is what the partner then gets, and looking decides nothing."""
    page = open_page(PHONE, javascript=False)
    request = installation.bank.ask("home-rental-deposit")
    consent_page(page, request, "person-a")
    page.get_by_role("button", name="看看对方会看到什么").click()
    expect(page.locator(".verdict")).to_have_text("满足")
    expect(page.locator(".result")).to_contain_text("是否给予激励由租房平台自行决定")
    page.get_by_role("link", name="返回，再读一遍").click()
    page.get_by_role("button", name="看看对方会看到什么").click()
    picture(page, "preview-phone-zh")
    page.get_by_role("button", name="同意", exact=True).click()
    page.wait_for_url(f"{installation.bank.redirect_uri}?**")
    consent = installation.bank.sdk.consents.finish(page.url, request)
    check = installation.bank.sdk.checks.create(
        scenario="home-rental-deposit", consent_id=consent.id, reference="looked-ahead"
    )
    assert check.outcome == "met"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_look_ahead_has_no_accessibility_fault(
    installation: Installation, open_page: OpenPage, picture: Picture, scheme: str
) -> None:
    page = open_page(DESKTOP, locale="en-GB")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    consent_page(page, installation.bank.ask("microloan-prescreen"), "company-a")
    page.get_by_role("button", name="See what they would see").click()
    expect(page.locator(".pairs")).to_contain_text("A")
    page.locator("summary").click()
    assert '"outcome": "met"' in page.locator("pre").inner_text()
    assert accessibility_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    picture(page, f"preview-desktop-en-{scheme}")


def test_a_written_consent_by_link_is_read_whole_kept_as_a_copy_and_extended(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page, sdk = open_page(DESKTOP), installation.bank.sdk
    asked = sdk.consents.ask(scenario="microloan-prescreen", subject=PERSONAS["company-c"].identifier.value)
    page.goto(asked.link)
    sign_in(page, "company-c")
    expect(page.locator(".paper")).to_contain_text("公共信用信息核验授权书")
    expect(page.locator(".paper")).to_contain_text("它不是授权人的电子签名")
    assert accessibility_faults(page) == []
    picture(page, "written-desktop-zh")
    page.get_by_role("button", name="同意", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("您已同意")
    assert accessibility_faults(page) == []
    picture(page, "agreed-desktop-zh")
    with page.expect_download() as download:
        page.get_by_role("link", name="下载签名文件").click()
    assert download.value.path().read_text() == sdk.consents.copy(asked.id).jws
    page.get_by_role("link", name="查看与打印").click()
    assert accessibility_faults(page) == []
    picture(page, "copy-desktop-zh")
    sdk.consents.extend(asked.id)
    page.goto(asked.link)
    expect(page.get_by_role("heading", level=1)).to_contain_text("想延长您给它的授权")
    assert accessibility_faults(page) == []
    picture(page, "extension-desktop-zh")
    page.get_by_role("button", name="同意延长").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("您已同意")


def test_a_link_for_another_is_a_page_that_tells_nothing(
    installation: Installation, open_page: OpenPage, picture: Picture
) -> None:
    page = open_page(PHONE)
    asked = installation.bank.sdk.consents.ask(scenario="bike-deposit", subject=PERSONAS["person-c"].identifier.value)
    page.goto(asked.link)
    sign_in(page, "person-d")
    expect(page.get_by_role("heading", level=1)).to_have_text("没有等待您决定的请求")
    assert "示例银行" not in page.locator("body").inner_text()
    assert accessibility_faults(page) == []
    picture(page, "nothing-phone-zh")
    page.get_by_role("button", name="换一个身份").click()
    sign_in(page, "person-c")
    page.get_by_role("button", name="不同意").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("您没有同意")
    assert accessibility_faults(page) == []
    picture(page, "refused-phone-zh")
