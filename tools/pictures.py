"""Take the documentation's pictures anew: what a person sees on a phone, asked and afterwards, in both languages."""

from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page

from demo.sandbox import Sandbox
from tests.support.browser import PHONE, new_context, running_chromium
from xinyi_sdk import Xinyi

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
LOCALES = {"": "zh-CN", "-en": "en-GB"}
CASE = "RIDE-2026-000123"


def main() -> None:
    with TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder), lambda words: None)
        sandbox.fill()
        bikes = sandbox.add_member(
            "bikes", "示例单车", "Sample Bikes", "bike-share", "https://bikes.example/back", ("bike-deposit",)
        )
        with (
            sandbox.serving("--port", "0") as url,
            running_chromium() as browser,
            Xinyi(base_url=url, client_id=bikes.client_id, private_key=bikes.private_key) as xinyi,
        ):
            for suffix, locale in LOCALES.items():
                with new_context(browser, PHONE, locale=locale) as visitor:
                    take(visitor.new_page(), xinyi, bikes.redirect_uri, url, suffix)


def take(page: Page, xinyi: Xinyi, redirect_uri: str, url: str, suffix: str) -> None:
    """The consent page; and, once its scenario was checked, who looked and what is recorded."""
    request = xinyi.consents.start(scenario="bike-deposit", redirect_uri=redirect_uri)
    page.goto(request.url)
    page.locator('button[name="persona"][value="person-a"]').click()
    agree = page.locator('button[name="decision"][value="agree"]')
    agree.wait_for()
    picture(page, f"consent-phone{suffix}.png")
    with page.expect_request(lambda sent: sent.url.startswith(f"{redirect_uri}?")) as back:  # there is no such site
        agree.click()
    page.wait_for_url("chrome-error://**")
    consent = xinyi.consents.finish(back.value.url, request)
    xinyi.checks.create(scenario="bike-deposit", consent_id=consent.id, reference=CASE)
    for name in ("access-log", "records"):
        page.goto(f"{url}/me/{name}")
        picture(page, f"{name}-phone{suffix}.png")


def picture(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / name)
    print(f"docs/images/{name}")


if __name__ == "__main__":
    main()
