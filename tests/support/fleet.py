"""Workers of one installation, each a process with an address of its own, and partners that call a given one.

They share an issuer, as behind a load balancer: a token of one is good at all. Which worker answers is the test's
choice, not the kernel's.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import ECKey

from tests.support.oauth import PartnerProgram
from tests.support.pairs import Pair
from tests.support.process import ServerProcess, server_process
from tests.support.servers import free_port
from xinyi.kernel.clock import SystemClock
from xinyi.partners.model import Client

ISSUER = "http://credit.example"
PATIENCE = 30.0
"""Seconds until a test gives up on an answer; no server should take so long."""


@contextmanager
def worker(folder: Path, pair: Pair, *options: str, **settings: str) -> Iterator[ServerProcess]:
    """One worker of the installation in ``folder``, until the block ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with server_process(folder, pair, "--port", str(port), *options, url=url, issuer=ISSUER, **settings) as server:
        yield server


class Partner(PartnerProgram):
    """A client that calls checks at one worker, over as many connections as it has calls under way."""

    held = ""
    """Its token, good for five minutes."""

    def at(self, http: httpx.AsyncClient) -> "Partner":
        """The same client, with the same token, calling elsewhere."""
        other = Partner(http, self.clock, self.client, self.key, issuer=self.issuer)
        other.dpop_key, other.held = self.dpop_key, self.held
        return other

    async def check(self, consent_id: str, scenario: str, reference: str, key: str | None = None) -> httpx.Response:
        """Asks; with an idempotency key, if one is given."""
        body = {"scenario": scenario, "consent_id": consent_id, "reference": reference}
        headers: Mapping[str, str] = {} if key is None else {"idempotency-key": key}
        return await self.call("POST", "/v1/checks", self.held, json=body, headers=headers)

    async def again(self, check_id: str) -> httpx.Response:
        """Asks for an earlier answer."""
        return await self.call("GET", f"/v1/checks/{check_id}", self.held)

    async def withdraw(self, consent_id: str) -> httpx.Response:
        """Gives a consent up."""
        return await self.call("DELETE", f"/v1/consents/{consent_id}", self.held)

    async def consent(self, consent_id: str) -> httpx.Response:
        """Asks how a consent stands."""
        return await self.call("GET", f"/v1/consents/{consent_id}", self.held)


@asynccontextmanager
async def calling(client: Client, key: Mapping[str, Any], *servers: ServerProcess) -> AsyncGenerator[list[Partner]]:
    """The client at each of the servers, with a token that it got at the first."""
    async with AsyncExitStack() as stack:
        https = [await stack.enter_async_context(connected(server)) for server in servers]
        for http in https:
            await http.get("/health/live")  # an assertion made before the server is up is refused
        first = Partner(https[0], SystemClock(), client, ECKey.import_key(dict(key)), issuer=ISSUER)
        first.held = await first.token()
        yield [first.at(http) for http in https]


def connected(server: ServerProcess) -> httpx.AsyncClient:
    """An HTTP client with cookies of its own for this server."""
    return httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, limits=httpx.Limits(max_connections=None))
