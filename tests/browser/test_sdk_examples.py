"""The SDK's example applications, as a customer meets them: to the consent page and back, whatever they decide."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from tests.browser.conftest import OpenPage
from tests.browser.installation import Installation
from tests.support.server import running_server
from xinyi.kernel.text import Text
from xinyi.settings import Settings
from xinyi.wiring import Services
from xinyi_sdk.cli import main

EXAMPLES = Path(__file__).resolve().parents[2] / "sdk" / "examples"


@pytest.fixture(params=["flask", "fastapi"])
def shop(
    request: pytest.FixtureRequest, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A running example; gives its address."""
    assert main(["keygen", "--out", str(tmp_path / "keys")]) == 0
    monkeypatch.setenv("XINYI_SDK_BASE_URL", installation.url)
    monkeypatch.setenv("XINYI_SDK_PRIVATE_KEY_FILE", str(tmp_path / "keys" / "private-key.pem"))

    def application(url: str) -> Any:
        jwks = json.loads((tmp_path / "keys" / "jwks.json").read_text())
        client_id = installation.server.call(_register, installation, jwks, f"{url}/callback")
        monkeypatch.setenv("XINYI_SDK_CLIENT_ID", client_id)
        module = _loaded(f"{request.param}_app")
        if request.param == "flask":  # its client lives as long as the program, which ends with the test
            request.addfinalizer(module.xinyi.close)
        return module.app

    with _flask_server(application) if request.param == "flask" else _fastapi_server(application) as url:
        yield url


async def _register(installation: Installation, jwks: Any, redirect_uri: str) -> str:
    services = Services.build(Settings(data_dir=installation.folder, issuer=installation.url))
    async with services.opened(), services.database.transaction() as tx:
        name = Text("示例单车", "Sample Bikes")
        partner = await services.partners.add_partner(tx, name, "bike-share", "privacy@bikes.example")
        client = await services.partners.add_client(
            tx, partner.id, "shop", jwks, redirect_uris=[redirect_uri], scenarios={"bike-deposit": None}
        )
        return client.id


def _loaded(name: str) -> Any:
    """The example as its file is, made anew for each test."""
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = module_from_spec(spec)  # FastAPI reads the module's annotations
    spec.loader.exec_module(module)
    return module


@contextmanager
def _flask_server(application: Any) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        server = make_server("127.0.0.1", port, application(url), threaded=True, fd=listener.fileno())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def _fastapi_server(application: Any) -> Iterator[str]:
    with running_server(application) as server:
        yield server.url


def decide(page: Page, shop: str, persona: str, decision: str) -> None:
    page.goto(shop)
    expect(page.locator("h1")).to_contain_text("199")
    page.locator("button").click()
    page.locator(f'button[name="persona"][value="{persona}"]').click()
    page.locator(f'button[name="decision"][value="{decision}"]').click()
    page.wait_for_url(f"{shop}/")


@pytest.mark.parametrize(
    ("persona", "decision", "said"),
    [
        ("person-a", "agree", "免押金 No deposit"),
        ("person-d", "agree", "请交押金 199 元 The deposit is 199 yuan"),
        ("person-a", "refuse", "未授权，请交押金 199 元 No consent: the deposit is 199 yuan"),
    ],
)
def test_a_customer_goes_to_the_consent_page_and_back(
    shop: str, open_page: OpenPage, persona: str, decision: str, said: str
) -> None:
    page = open_page()
    decide(page, shop, persona, decision)
    expect(page.locator("h1")).to_have_text(said)
    page.reload()
    expect(page.locator("h1")).to_have_text(said)


def test_nobody_comes_back_in_anothers_place(shop: str, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{shop}/callback?code=x&state=y&iss=z")
    expect(page.locator("h1")).to_contain_text("重新开始")
    page.goto(shop)
    page.locator("button").click()
    expect(page.locator('button[name="persona"]').first).to_be_visible()
    page.goto(f"{shop}/callback?code=x&state=y&iss=z")
    expect(page.locator("h1")).to_contain_text("重新开始")


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(example: Path) -> None:
    assert len(example.read_text("utf-8").splitlines()) < 80
