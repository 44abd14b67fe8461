"""The services of one installation, wired once: what the HTTP application and the command line both stand on."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

from msgspec import Struct

from .catalogue.service import Catalogue
from .checks.engine import Engine
from .checks.service import CheckService
from .consents.notice import Operator
from .consents.service import ConsentService
from .kernel.clock import Clock, SystemClock
from .kernel.text import Text
from .ledger.service import LedgerService
from .oauth.service import OAuthService
from .partners.service import PartnerService
from .portal.service import PortalService
from .records.imports import RecordImports
from .records.service import RecordService
from .scenarios.registry import Registry
from .settings import Settings
from .storage.cache import MemoryCache
from .storage.database import Database
from .storage.keys import Keys, make_keys, open_keys
from .subjects.service import SubjectService
from .web.session import Sessions


class Services(Struct, frozen=True, kw_only=True):
    """Everything that a request or a command may need."""

    settings: Settings
    clock: Clock
    keys: Keys
    database: Database
    cache: MemoryCache
    catalogue: Catalogue
    scenarios: Registry
    subjects: SubjectService
    partners: PartnerService
    records: RecordService
    imports: RecordImports
    ledger: LedgerService
    consents: ConsentService
    sessions: Sessions
    oauth: OAuthService
    portal: PortalService
    checks: CheckService
    engine: Engine

    @classmethod
    def build(cls, settings: Settings, clock: Clock | None = None) -> Self:
        """Wires the services; opens the key files, but no connection yet.

        Raises ``KeysMissing`` outside the sandbox when a key file is missing, and ``FileError`` when a record type or
        scenario file is wrong.
        """
        clock = clock or SystemClock()
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = installation_keys(settings, clock)
        cache = MemoryCache(clock)
        database = Database(settings.effective_database_url)
        catalogue = Catalogue.load(settings.scenarios_dir)
        scenarios = Registry.load(catalogue, settings.scenarios_dir)
        subjects = SubjectService(keys, clock, allow_synthetic=settings.is_sandbox)
        partners = PartnerService(clock, sandbox=settings.is_sandbox)
        records = RecordService(catalogue, clock)
        imports = RecordImports(database, clock, subjects=subjects, catalogue=catalogue, partners=partners)
        ledger = LedgerService(keys.ledger, settings.issuer, clock)
        consents = ConsentService(
            database,
            clock,
            scenarios=scenarios,
            catalogue=catalogue,
            subjects=subjects,
            partners=partners,
            ledger=ledger,
            operator=Operator(Text(settings.operator_name_zh, settings.operator_name_en), settings.operator_contact),
        )
        sessions = Sessions(cache, clock, keys.opaque, secure=settings.issuer.startswith("https:"))
        oauth = OAuthService(
            settings,
            keys,
            clock,
            cache,
            database,
            partners=partners,
            consents=consents,
            scenarios=scenarios,
            subjects=subjects,
            sessions=sessions,
        )
        checks = CheckService(
            database,
            clock,
            partners=partners,
            subjects=subjects,
            records=records,
            scenarios=scenarios,
            ledger=ledger,
        )
        portal = PortalService(
            database,
            clock,
            consents=consents,
            partners=partners,
            scenarios=scenarios,
            records=records,
            catalogue=catalogue,
        )
        return cls(
            settings=settings,
            clock=clock,
            keys=keys,
            database=database,
            cache=cache,
            catalogue=catalogue,
            scenarios=scenarios,
            subjects=subjects,
            partners=partners,
            records=records,
            imports=imports,
            ledger=ledger,
            consents=consents,
            sessions=sessions,
            oauth=oauth,
            portal=portal,
            checks=checks,
            engine=Engine(checks),
        )

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Self]:
        """The services with their database: the schema is there, and at the end the connections are closed."""
        try:
            await self.database.create_schema()
            yield self
        finally:
            await self.database.close()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Self]:
        """The services with the engine at work; at the end what waits is finished."""
        async with self.opened():
            self.engine.start()
            try:
                yield self
            finally:
                await self.engine.stop()


def installation_keys(settings: Settings, clock: Clock) -> Keys:
    """The keys of the installation; the sandbox makes those that are missing. Raises ``KeysMissing`` elsewhere."""
    if settings.is_sandbox:
        make_keys(settings.keys_dir, clock.now())
    return open_keys(settings.keys_dir)
