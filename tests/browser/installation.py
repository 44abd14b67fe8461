"""A whole installation behind a browser: the server, a partner with the SDK, and the partner's own site."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
from joserfc.jwk import ECKey

from tests.support.server import LiveServer, running_server
from xinyi.app import create_app
from xinyi.kernel.clock import CHINA_TIME
from xinyi.kernel.text import Text
from xinyi.partners.tables import partners
from xinyi.records.rows import Format, Row
from xinyi.sandbox import personas
from xinyi.sandbox.sources import SOURCE_OF, register
from xinyi.settings import Settings
from xinyi.wiring import Services
from xinyi_sdk import ConsentRequest, Xinyi

BANK = Text("示例银行", "Sample Bank")
CONTACT = "privacy@bank.example"
HOSTILE = Text("好\u202e银行\u200b<b>甲</b>", "Evil\u202e<script>alert(1)</script>\u2066 Bank")
SCENARIOS = ("microloan-prescreen", "home-rental-deposit", "bike-deposit")


@dataclass
class Partner:
    """A partner's program, and the pages of its site that browsers came back to."""

    sdk: Xinyi
    site: LiveServer
    arrivals: list[str] = field(default_factory=list)

    @property
    def redirect_uri(self) -> str:
        return f"{self.site.url}/callback"

    def ask(self, scenario: str, subject: str | None = None) -> ConsentRequest:
        """Asks for a consent by redirect."""
        return self.sdk.consents.start(scenario=scenario, redirect_uri=self.redirect_uri, subject=subject)

    def arrival(self) -> str:
        """Where the browser last came back to."""
        return self.arrivals[-1]


@dataclass
class Installation:
    """The running server, whose database a second set of services may read and write."""

    server: LiveServer
    folder: Path
    bank: Partner
    hostile: Partner

    @property
    def url(self) -> str:
        return self.server.url


@contextmanager
def running_installation(folder: Path) -> Iterator[Installation]:
    """A sandbox on a free port, with two partners: an ordinary one, and one whose name attacks the page."""
    arrivals: list[str] = []
    with (
        running_server(lambda url: create_app(Settings(data_dir=folder, issuer=url))) as server,
        running_server(lambda url: _site(url, arrivals)) as site,
    ):
        server.call(_fill, folder, server.url)
        programs = []
        for name in (BANK, HOSTILE):
            key = ECKey.generate_key("P-256")
            client_id = server.call(_register, folder, server.url, name, key, site.url)
            sdk = Xinyi(
                base_url=server.url,
                client_id=client_id,
                private_key={**key.as_dict(private=True), "kid": key.thumbprint()},
            )
            programs.append(Partner(sdk, site, arrivals))
        yield Installation(server, folder, *programs)
        for partner in programs:
            partner.sdk.close()


async def _fill(folder: Path, issuer: str) -> None:
    """The personas' records, by the way that records take."""
    services = Services.build(Settings(data_dir=folder, issuer=issuer))
    rows: dict[str, list[Row]] = {}
    for row in personas.rows(datetime.now(CHINA_TIME).date()):
        rows.setdefault(SOURCE_OF[row.record_type], []).append(row)
    async with services.opened():
        async with services.database.transaction() as tx:
            await register(tx, services.partners)
        for source, sent in rows.items():
            file = BytesIO(b"".join(msgspec.json.encode(row) + b"\n" for row in sent))
            batch = await services.imports.run(await services.imports.open(source, Format.NDJSON, None), file)
            assert batch.rejected == 0


async def _register(folder: Path, issuer: str, name: Text, key: ECKey, site: str) -> str:
    services = Services.build(Settings(data_dir=folder, issuer=issuer))
    async with services.opened(), services.database.transaction() as tx:
        # The register refuses such a name: it is put there all the same, since pages must not rest on that.
        partner = await services.partners.add_partner(tx, Text("示例", "Sample"), "bank", CONTACT)
        await tx.execute(partners.update().where(partners.c.id == partner.id).values(name=name))
        client = await services.partners.add_client(
            tx,
            partner.id,
            "site",
            {"keys": [{**key.as_dict(private=False), "kid": key.thumbprint()}]},
            redirect_uris=[f"{site}/callback"],
            scenarios=dict.fromkeys(SCENARIOS),
        )
        return client.id


def _site(url: str, arrivals: list[str]) -> Any:
    """The partner's site: every page is the same, and remembers its address."""

    async def site(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["path"] == "/callback":
            arrivals.append(f"{url}{scope['path']}?{scope['query_string'].decode()}")
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<!doctype html><title>partner</title><h1>Partner</h1>"})

    return site
