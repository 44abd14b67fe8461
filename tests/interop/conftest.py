"""A sandbox on a real port, which clients that we didn't write find their own way through."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urljoin

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey

from tests.support.oauth import forms
from tests.support.server import LiveServer, running_server
from xinyi.app import create_app
from xinyi.kernel.text import Text
from xinyi.partners.model import Client
from xinyi.records.rows import Format
from xinyi.sandbox import personas, sources
from xinyi.settings import Settings
from xinyi.wiring import Services

REDIRECT_URI = "https://partner.example/back"
SCENARIO = "microloan-prescreen"
"""Its consent is for several checks: so a refresh token comes with it."""


@dataclass(frozen=True)
class Stage:
    """The server, and one partner's client with its private key."""

    server: LiveServer
    client_id: str
    key: dict[str, Any]

    @property
    def issuer(self) -> str:
        return self.server.url

    def told(self) -> dict[str, Any]:
        """All that a client is told beforehand: everything else it discovers."""
        return {
            "issuer": self.issuer,
            "client_id": self.client_id,
            "key": self.key,
            "redirect_uri": REDIRECT_URI,
            "scenario": SCENARIO,
        }


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("sandbox")
    key = ECKey.generate_key("P-256", parameters={"kid": "interop-1"})
    with running_server(lambda url: create_app(Settings(data_dir=folder, issuer=url))) as server:
        client = server.call(_furnish, Settings(data_dir=folder, issuer=server.url), key)
        yield Stage(server, client.id, {**key.as_dict(private=True), "kid": "interop-1"})


async def _furnish(settings: Settings, key: ECKey) -> Client:
    """The personas' records, and a bank's client."""
    services = Services.build(settings)
    async with services.opened():
        async with services.database.transaction() as tx:
            await sources.register(tx, services.partners)
            name = Text("示例银行", "Sample Bank")
            bank = await services.partners.add_partner(tx, name, "bank", "privacy@bank.example")
            client = await services.partners.add_client(
                tx,
                bank.id,
                "interop",
                {"keys": [{**key.as_dict(private=False), "kid": "interop-1"}]},
                redirect_uris=[REDIRECT_URI],
                scenarios={SCENARIO: None},
            )
        rows = list(personas.rows(services.clock.now().date()))
        for source in sources.SOURCES:
            own = [msgspec.json.encode(row) for row in rows if sources.SOURCE_OF[row.record_type] == source.id]
            await services.imports.run(
                await services.imports.open(source.id, Format.NDJSON, None), BytesIO(b"\n".join(own))
            )
        return client


def agrees(url: str) -> str:
    """A company's representative who opens the address, signs in and agrees: where the browser is sent back to."""
    with httpx.Client() as browser:
        sign_in = forms(browser.get(url))[0]
        entered = browser.post(urljoin(url, sign_in.action), data={**sign_in.fields, "persona": "company-a"})
        consent = forms(browser.get(urljoin(url, entered.headers["location"])))[-1]
        decided = browser.post(urljoin(url, consent.action), data={**consent.fields, "decision": "agree"})
        assert decided.status_code == 303, decided.text
        return str(decided.headers["location"])
