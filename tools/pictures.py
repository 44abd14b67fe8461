"""Take the documentation's pictures anew: a person on a phone and a company at a desk, asked and afterwards.

In both languages, of a server in the sandbox that was set up by command.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Browser, Page

from demo.sandbox import Member, Sandbox
from demo.serve import MEMBERS
from tests.support.browser import PHONE, new_context, running_chromium
from xinyi_sdk import Xinyi

IMAGES: Final = Path(__file__).resolve().parent.parent / "docs" / "images"
DESK: Final = (1024, 900)
"""A small window at a desk: what stands on it can be read in a README."""
LOCALES: Final = {"": "zh-CN", "-en": "en-GB"}


def main() -> None:
    for suffix, locale in LOCALES.items():
        with TemporaryDirectory() as folder:
            sandbox = Sandbox(Path(folder), lambda words: None, quiet=True)
            sandbox.fill()
            bikes, bank = (sandbox.add_member(slug, *MEMBERS[slug]) for slug in ("bikes", "bank"))
            with sandbox.serving("--port", "0") as url, running_chromium() as browser:
                on_a_phone(browser, bikes, url, suffix, locale)
                at_a_desk(browser, bank, url, suffix, locale)


def on_a_phone(browser: Browser, member: Member, url: str, suffix: str, locale: str) -> None:
    """The consent page, the look ahead; and afterwards who looked, and what can be withdrawn."""
    with new_context(browser, PHONE, locale=locale) as visitor:
        page = visitor.new_page()
        agree(page, url, member, "bike-deposit", "person-a", "RIDE-2026-000123", f"phone{suffix}")
        for name, path in (("access-log", "/me/access-log"), ("me", "/me")):
            page.goto(f"{url}{path}")
            picture(page, f"{name}-phone{suffix}.png")


def at_a_desk(browser: Browser, member: Member, url: str, suffix: str, locale: str) -> None:
    """The same for whoever represents a company."""
    with new_context(browser, DESK, locale=locale) as visitor:
        page = visitor.new_page()
        agree(page, url, member, "microloan-prescreen", "company-b", "LOAN-2026-000456", f"desktop{suffix}")
        page.goto(f"{url}/me/access-log")
        picture(page, f"access-log-desktop{suffix}.png")


def agree(page: Page, url: str, member: Member, scenario: str, persona: str, case: str, name: str) -> None:
    """Reads, looks ahead and agrees, with a picture of each; and what was agreed to is asked once."""
    with Xinyi(base_url=url, client_id=member.client_id, private_key=member.private_key) as xinyi:
        request = xinyi.consents.start(scenario=scenario, redirect_uri=member.redirect_uri)
        page.goto(request.url)
        page.locator(f'button[name="persona"][value="{persona}"]').click()
        page.locator('button[name="decision"][value="agree"]').wait_for()
        picture(page, f"consent-{name}.png")
        page.locator('button[name="decision"][value="preview"]').click()
        page.locator(".verdict").wait_for()
        if name.startswith("phone"):
            picture(page, f"preview-{name}.png")
        with page.expect_request(lambda sent: sent.url.startswith(f"{member.redirect_uri}?")) as back:
            page.locator('button[name="decision"][value="agree"]').click()
        page.wait_for_url("chrome-error://**")  # nothing listens where the partner's page would be
        consent = xinyi.consents.finish(back.value.url, request)
        xinyi.checks.create(scenario=scenario, consent_id=consent.id, reference=case)


def picture(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / name)
    print(f"docs/images/{name}")


if __name__ == "__main__":
    main()
