"""Take the documentation's pictures anew: the consent page as a phone shows it, in both languages."""

from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser

from demo.sandbox import Sandbox
from tests.support.browser import PHONE, new_context, running_chromium
from xinyi_sdk import Xinyi

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
LOCALES = {"consent-phone.png": "zh-CN", "consent-phone-en.png": "en-GB"}


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
            for name, locale in LOCALES.items():
                request = xinyi.consents.start(scenario="bike-deposit", redirect_uri=bikes.redirect_uri)
                take(browser, request.url, locale, IMAGES / name)
                print(f"docs/images/{name}")


def take(browser: Browser, url: str, locale: str, file: Path) -> None:
    with new_context(browser, PHONE, locale=locale) as visitor:
        page = visitor.new_page()
        page.goto(url)
        page.locator('button[name="persona"][value="person-a"]').click()
        page.locator('button[name="decision"][value="agree"]').wait_for()
        page.screenshot(path=file)


if __name__ == "__main__":
    main()
