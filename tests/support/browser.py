"""A browser for tests and pictures: the system's Chromium, or the one that ``make setup-node`` unpacks.

Pages are drawn with one font from a pinned package, so that Chinese has glyphs and pictures look the same everywhere.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
UNPACKED = BUILD / "browser"
SYSTEM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # nothing beyond this machine
    "--no-first-run",
)

PHONE = (390, 844)
DESKTOP = (1280, 900)
"""Width and height of the page in CSS pixels."""


class NoBrowserError(Exception):
    """There is no Chromium here. ``str()`` says how to get one."""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start a headless Chromium, and end it with the block.

    The sync Playwright occupies its thread's event loop meanwhile: no async test may run inside the block.
    """
    program, libraries = _find_chromium()
    environment: dict[str, str | float | bool] = {**os.environ, "FONTCONFIG_FILE": str(_fontconfig())}
    if libraries:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS, env=environment)
        try:
            yield browser
        finally:
            browser.close()


def new_context(
    browser: Browser, size: tuple[int, int] = DESKTOP, *, locale: str = "zh-CN", javascript: bool = True
) -> BrowserContext:
    """A visitor without cookies, in Shanghai, on a phone or at a desk."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2 if size == PHONE else 1,
        has_touch=size == PHONE,
        java_script_enabled=javascript,
        locale=locale,
        timezone_id="Asia/Shanghai",
        reduced_motion="reduce",
    )
    context.set_default_timeout(10_000)
    return context


def _find_chromium() -> tuple[Path, Path | None]:
    """The program, and the folder of shared libraries that comes with it."""
    for name in SYSTEM_NAMES:
        found = shutil.which(name)
        if found:
            return Path(found), None
    unpacked = UNPACKED / "chromium"
    if not unpacked.exists():
        raise NoBrowserError("no Chromium: run 'make setup-node' (Linux on x86-64), or install Chromium")
    return unpacked, UNPACKED / "lib"


def _fontconfig() -> Path:
    """A fontconfig file that knows the packaged font and no other."""
    package = find_spec("paperang_p2_fonts_cjk")
    if package is None or package.origin is None:
        raise NoBrowserError("no Chinese font: run 'make setup'")
    folder = BUILD / "fonts"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "fonts.conf"
    file.write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">\n'
        f"<fontconfig><dir>{Path(package.origin).parent / 'fonts'}</dir><cachedir>{folder}</cachedir></fontconfig>\n"
    )
    return file
