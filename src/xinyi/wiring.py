"""The services of one installation, wired once: what the HTTP application and the command line both stand on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from .audit.service import Audit
from .batches.service import BatchService
from .batches.worker import BatchWorker
from .catalogue.service import Catalogue
from .checks.engine import Engine
from .checks.listing import CheckList
from .checks.query_log import QueryLog
from .checks.retention import Retention
from .checks.service import CheckService
from .consents.asking import AskService
from .consents.copies import CopySigner
from .consents.extending import ExtensionService
from .consents.journal import Journal
from .consents.notice import Operator
from .consents.previews import PreviewService
from .consents.reminders import Reminders
from .consents.service import ConsentService
from .consents.sweep import ConsentSweep
from .events.deliveries import Deliveries
from .events.relay import Relay
from .events.sender import Sender
from .events.service import EventService
from .events.worker import EventWorker
from .feedback.service import FeedbackService
from .kernel.clock import Clock, SystemClock
from .kernel.text import Text
from .ledger.service import LedgerService
from .oauth.service import OAuthService
from .oauth.upstream import read_credential
from .partners.service import PartnerService
from .portal.access import AccessLog
from .portal.notices import Notices
from .portal.service import PortalService
from .records.amendments import Amendments
from .records.deadlines import Deadlines
from .records.disputes import DisputeService
from .records.imports import RecordImports
from .records.keeping_off import KeptOff
from .records.service import RecordService
from .scenarios.registry import Registry
from .settings import Settings
from .storage.cache import Cache, MemoryCache
from .storage.database import Database
from .storage.horizon import Horizon
from .storage.installation import require_environment
from .storage.key_files import make_keys, open_keys
from .storage.keys import Keys
from .storage.migrate import migrate_if_empty, require_migrated
from .storage.once import Uses
from .storage.private import require_private
from .storage.redis_cache import RedisCache
from .subjects.service import SubjectService
from .telemetry.metrics import Metrics
from .telemetry.service import Telemetry
from .usage.service import UsageService
from .usage.worker import UsageWorker
from .web.mail import Mailer, MailServer
from .web.outbound import Outbound
from .web.rates import Rates
from .web.session import Sessions


class Services(Struct, frozen=True, kw_only=True):
    """Everything that a request or a command may need."""

    settings: Settings
    clock: Clock
    telemetry: Telemetry
    keys: Keys
    database: Database
    cache: Cache
    outbound: Outbound
    catalogue: Catalogue
    scenarios: Registry
    subjects: SubjectService
    partners: PartnerService
    records: RecordService
    imports: RecordImports
    amendments: Amendments
    disputes: DisputeService
    kept_off: KeptOff
    ledger: LedgerService
    consents: ConsentService
    asks: AskService
    extensions: ExtensionService
    previews: PreviewService
    consent_sweep: ConsentSweep
    sessions: Sessions
    oauth: OAuthService
    access: AccessLog
    portal: PortalService
    checks: CheckService
    check_list: CheckList
    query_log: QueryLog
    audit: Audit
    feedback: FeedbackService
    rates: Rates
    usage: UsageService
    usage_worker: UsageWorker
    retention: Retention
    engine: Engine
    batches: BatchService
    batch_worker: BatchWorker
    events: EventService
    event_worker: EventWorker

    @classmethod
    def build(cls, settings: Settings, clock: Clock | None = None, telemetry: Telemetry | None = None) -> Self:
        """Wires the services; opens the key files, but no connection yet.

        Raises as :func:`installation_keys`, and ``FileError`` when a record type or scenario file is wrong.
        """
        clock = clock or SystemClock()
        telemetry = telemetry or Telemetry()
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = installation_keys(settings, clock)
        database = Database(
            settings.effective_database_url, pool_size=settings.database_pool, committing=telemetry.commit
        )
        cache, uses = _short_lived_state(settings, database, clock)
        outbound = Outbound(loopback_origins=settings.outbound_loopback_origins)
        catalogue = Catalogue.load(settings.scenarios_dir)
        scenarios = Registry.load(catalogue, settings.scenarios_dir)
        subjects = SubjectService(keys, clock, synthetic=settings.is_sandbox)
        partners = PartnerService(
            clock,
            outbound,
            sandbox=settings.is_sandbox,
            key_delay=timedelta(hours=settings.client_key_delay_hours),
        )
        kept_off = KeptOff(clock, subjects=subjects, catalogue=catalogue)
        records = RecordService(catalogue, clock, kept_off)
        imports = RecordImports(
            database, clock, subjects=subjects, catalogue=catalogue, partners=partners, kept_off=kept_off
        )
        amendments = Amendments(clock, subjects=subjects, catalogue=catalogue, partners=partners, kept_off=kept_off)
        disputes = DisputeService(clock, Deadlines.load(settings.scenarios_dir), amendments)
        ledger = LedgerService(keys.ledger, settings.issuer, clock)
        operator = Operator(Text(settings.operator_name_zh, settings.operator_name_en), settings.operator_contact)
        journal = Journal(ledger, subjects)
        consents = ConsentService(
            database,
            clock,
            scenarios=scenarios,
            catalogue=catalogue,
            subjects=subjects,
            partners=partners,
            journal=journal,
            operator=operator,
            signer=CopySigner(keys.ledger, settings.issuer),
        )
        quiet_after_refusal = timedelta(hours=settings.ask_cool_down_hours)
        mailer = _mailer(settings)
        asks = AskService(
            database,
            clock,
            consents=consents,
            journal=journal,
            partners=partners,
            scenarios=scenarios,
            subjects=subjects,
            quiet_after_refusal=quiet_after_refusal,
            quiet_after_reminder=timedelta(hours=settings.reminder_cool_down_hours),
            mail=mailer is not None,
        )
        extensions = ExtensionService(
            database,
            clock,
            consents=consents,
            journal=journal,
            partners=partners,
            scenarios=scenarios,
            quiet_after_refusal=quiet_after_refusal,
        )
        previews = PreviewService(
            database,
            clock,
            consents=consents,
            records=records,
            scenarios=scenarios,
            catalogue=catalogue,
            partners=partners,
            subjects=subjects,
        )
        reminders = Reminders(
            database,
            clock,
            subjects=subjects,
            partners=partners,
            scenarios=scenarios,
            mailer=mailer,
            issuer=settings.issuer,
            operator=operator,
        )
        notices = Notices(
            database,
            clock,
            subjects=subjects,
            partners=partners,
            scenarios=scenarios,
            mailer=mailer,
            issuer=settings.issuer,
            operator=operator,
        )
        consent_sweep = ConsentSweep(
            database, clock, journal, reminders, seconds=settings.sweep_seconds, mail=(notices.send,)
        )
        rates = Rates(cache, clock, settings)
        sessions = Sessions(
            cache,
            clock,
            keys.opaque,
            rates,
            secure=settings.issuer.startswith("https:"),
            representative_within=timedelta(minutes=settings.representative_minutes),
        )
        oauth = OAuthService(
            settings,
            keys,
            clock,
            cache,
            uses,
            database,
            partners=partners,
            consents=consents,
            scenarios=scenarios,
            subjects=subjects,
            sessions=sessions,
            rates=rates,
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
        engine = Engine(checks, telemetry)
        _show(telemetry.metrics, engine, database, cache, ledger)
        batches = BatchService(database, clock, checks, scenarios)
        access = AccessLog(
            database, partners=partners, subjects=subjects, scenarios=scenarios, catalogue=catalogue, ledger=ledger
        )
        portal = PortalService(
            database,
            clock,
            consents=consents,
            partners=partners,
            subjects=subjects,
            scenarios=scenarios,
            records=records,
            disputes=disputes,
            catalogue=catalogue,
            ledger=ledger,
            access=access,
        )
        sender = Sender(outbound, clock, keys.subject_seal, timeout=settings.event_timeout, metrics=telemetry.metrics)
        events = EventService(database, clock, sender, retention=timedelta(days=settings.event_days))
        deliveries = Deliveries(database, clock, sender, schedule=settings.event_schedule)
        usage = UsageService(database, clock)
        return cls(
            settings=settings,
            clock=clock,
            telemetry=telemetry,
            keys=keys,
            database=database,
            cache=cache,
            outbound=outbound,
            catalogue=catalogue,
            scenarios=scenarios,
            subjects=subjects,
            partners=partners,
            records=records,
            imports=imports,
            amendments=amendments,
            disputes=disputes,
            kept_off=kept_off,
            ledger=ledger,
            consents=consents,
            asks=asks,
            extensions=extensions,
            previews=previews,
            consent_sweep=consent_sweep,
            sessions=sessions,
            oauth=oauth,
            access=access,
            portal=portal,
            checks=checks,
            retention=Retention(database, clock, scenarios, ledger),
            engine=engine,
            batches=batches,
            check_list=CheckList(database, checks),
            query_log=QueryLog(partners=partners, subjects=subjects, scenarios=scenarios),
            audit=Audit(clock),
            feedback=FeedbackService(database, clock),
            rates=rates,
            usage=usage,
            usage_worker=UsageWorker(usage),
            batch_worker=BatchWorker(batches, engine),
            events=events,
            event_worker=EventWorker(clock, Relay(database, clock), deliveries, chores=(events.forget,)),
        )

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Self]:
        """The services with their database, whose schema is current; at the end the connections are closed.

        Raises ``NotMigrated`` otherwise, ``OtherEnvironment`` when the database is another environment's, and
        ``PermissionError`` when others can read its file outside the sandbox. Only a sandbox on SQLite needs no
        command: its empty file is migrated here.
        """
        try:
            await _require_schema(self.settings, self.database)
            yield self
        finally:
            await self.database.close()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Self]:
        """The services with the engine at work; at the end what waits is finished. Raises ``UnfitCache``."""
        async with self.opened():
            try:
                await self.cache.open()
                # Proofs are dated in whole seconds: those of the second in which an older state ended aren't known.
                wait = self.cache.since - self.clock.now()
                await asyncio.sleep(min(max(wait, timedelta(0)), _LONGEST_WAIT).total_seconds())
                self.engine.start()
                self.batch_worker.start()
                self.event_worker.start()
                self.usage_worker.start()
                self.consent_sweep.start()
                try:
                    yield self
                finally:
                    await self.consent_sweep.stop()
                    await self.usage_worker.stop()
                    await self.event_worker.stop()
                    await self.batch_worker.stop()
                    await self.engine.stop()
                    await self.partners.close()
            finally:
                await self.cache.close()


async def require_ready(settings: Settings) -> Path | None:
    """Looks at the servers that ``settings`` name, before any process relies on them. Gives the database's file if
    there was none, and it was made here.

    Raises as :meth:`Services.opened`, ``UnfitCache``, ``UnfitKeys`` for what authenticates at the sign-in provider,
    and ``XinyiError(UNAVAILABLE)`` for one that can't be reached.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database, clock = Database(settings.effective_database_url), SystemClock()
    new = database.is_sqlite and not database.files
    try:
        await _require_schema(settings, database)
        made = database.files[0] if new else None
        if settings.cache_url is not None:
            cache, _ = _short_lived_state(settings, database, clock)
            try:
                await cache.open()
            finally:
                await cache.close()
    finally:
        await database.close()
    if settings.sign_in is not None:
        read_credential(settings.sign_in)
    return made


async def _require_schema(settings: Settings, database: Database) -> None:
    if settings.is_sandbox and database.is_sqlite:
        await migrate_if_empty(database)
    if not settings.is_sandbox:
        for path in database.files:
            require_private(path)
    await require_migrated(database)
    await require_environment(database, settings.environment)


_LONGEST_WAIT: Final = timedelta(seconds=1)
_CLOCKS_APART: Final = timedelta(seconds=2)


def _show(metrics: Metrics, engine: Engine, database: Database, cache: Cache, ledger: LedgerService) -> None:
    """Lets whoever watches see what waits and what is in use."""
    metrics.gauge("xinyi_engine_waiting", "Checks that wait for the next batch.", lambda: engine.waiting)
    metrics.gauge("xinyi_database_connections_busy", "Connections in use by this worker.", lambda: database.busy)
    metrics.gauge(
        "xinyi_ledger_size", "Entries of the ledger when this worker last met its head.", lambda: ledger.known_size
    )
    if isinstance(cache, MemoryCache):
        metrics.gauge("xinyi_cache_values", "Values in the worker's own memory store.", lambda: len(cache))


def _mailer(settings: Settings) -> Mailer | None:
    if settings.mail_host is None:
        return None
    return Mailer(
        MailServer(
            host=settings.mail_host,
            port=settings.mail_port,
            security=settings.mail_security,
            sender=settings.mail_from,
            user=settings.mail_user,
            password_file=settings.mail_password_file,
        )
    )


def _short_lived_state(settings: Settings, database: Database, clock: Clock) -> tuple[Cache, Uses]:
    cache: Cache
    if settings.cache_url is None:
        horizon = Horizon(database, clock)
        cache = MemoryCache(clock, horizon.begin)
    else:
        horizon = Horizon(database, clock, margin=_CLOCKS_APART)
        cache = RedisCache(settings.cache_url, horizon.begin, prefix=settings.cache_prefix)
    return cache, Uses(cache, horizon, clock)


def installation_keys(settings: Settings, clock: Clock) -> Keys:
    """The keys of the installation; the sandbox makes those that are missing. Raises ``KeysMissing`` elsewhere.

    Raises ``UnfitKeys`` and ``PermissionError`` for key files that can't be used as they are.
    """
    if settings.is_sandbox:
        make_keys(settings.keys_dir, clock.now(), settings.environment)
    return open_keys(settings.keys_dir, settings.environment, clock)
