"""An installation to measure: keys, a migrated database, sources, partners and a population."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from xinyi.kernel.text import Text
from xinyi.ledger.model import NewEntry
from xinyi.partners.model import Client
from xinyi.sandbox import sources
from xinyi.settings import Settings
from xinyi.storage.migrate import migrate
from xinyi.subjects.sealing import Pseudonyms
from xinyi.wiring import Services

from .bulk import Bulk
from .population import RECORDS_EACH, SCENARIO, Population
from .signing import Member

ISSUER: Final = "https://credit.example"
"""What proofs name; the servers listen on any port of this machine."""
MEMBERS: Final = 4


class Installation:
    """One installation in ``folder``. ``urls``: the settings that name its database and its cache."""

    def __init__(self, folder: Path, **urls: Any) -> None:
        self.folder = folder
        self._urls = urls
        self.members: list[Member] = []
        self.consents: list[list[str]] = []
        """The consents of each member."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings, for another process."""
        # Calls are counted as everywhere, against rates that one client's load can't reach.
        rates = {f"rate_{limit}": "1000000000" for limit in ("calls", "checks", "tokens")}
        given = {"issuer": ISSUER, "data_dir": str(self.folder), **rates, **self._urls}
        return {f"XINYI_{name.upper()}": value for name, value in given.items()}

    @property
    def settings(self) -> Settings:
        return Settings(issuer=ISSUER, data_dir=self.folder, **self._urls)

    def make(self, records: int) -> None:
        """Fills it with a population that has ``records`` records."""
        self.folder.mkdir(parents=True)
        asyncio.run(self._make(records // RECORDS_EACH))

    async def _make(self, size: int) -> None:
        services = Services.build(self.settings)
        await migrate(services.database)
        async with services.opened():
            clients = await self._register(services)
            people = Population(size, clients, services.scenarios.get(SCENARIO), services.clock.now())
        self.consents = [people.consents(number) for number in range(len(clients))]
        bulk = Bulk(self.settings.effective_database_url)
        await people.store(bulk, Pseudonyms(services.keys))
        await bulk.settle()

    async def _register(self, services: Services) -> Sequence[Client]:
        clients = []
        async with services.database.transaction() as tx:
            await sources.register(tx, services.partners)
            for number in range(MEMBERS):
                name = Text(f"示例银行{number + 1}", f"Sample Bank {number + 1}")
                partner = await services.partners.add_partner(tx, name, "bank", "privacy@bank.example")
                member = Member()
                given: dict[str, Any] = {SCENARIO: None}
                client = await services.partners.add_client(tx, partner.id, name.en, member.jwks, scenarios=given)
                member.client_id = client.id
                self.members.append(member)
                clients.append(client)
            await services.ledger.append(tx, [NewEntry("note", "bench", b"{}")], services.clock.now())
        return clients
