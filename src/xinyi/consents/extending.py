"""More time for a consent: the partner asks, the subject decides; it stays the same consent, with a history."""

from datetime import datetime, timedelta

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import new_id
from ..kernel.text import Language
from ..partners.service import PartnerService, require_active
from ..scenarios.model import ConsentForm
from ..scenarios.registry import Registry
from ..storage.database import Database
from . import repo
from .asking import cooling_down
from .journal import Change, Journal
from .model import (
    ANSWER_EXTENSION_WITHIN,
    Consent,
    ConsentState,
    Decision,
    Event,
    Extension,
    ExtensionState,
    Party,
    extension_state,
    state,
)
from .notice import Notice
from .service import ConsentService

_OPEN = (ConsentState.AUTHORISED, ConsentState.PAUSED)


async def lapse(tx: AsyncConnection, consent: Consent) -> Change:
    """Decides about the consent's waiting extension as time has decided; the journal is yet to write it."""
    extension = await repo.undecided_extension(tx, consent.id)
    assert extension is not None, "the consent says so"
    lapsed = replace(extension, decided_at=extension.request_expires_at, decision=Decision.LAPSED)
    await repo.update_extension(tx, lapsed)
    return Change(Event.EXTENSION_REJECTED, replace(consent, extension_due_at=None), lapsed, Party.TIME)


class ExtensionService:
    """Asks for extensions and lets their subject decide about them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        consents: ConsentService,
        journal: Journal,
        partners: PartnerService,
        scenarios: Registry,
        quiet_after_refusal: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._consents = consents
        self._journal = journal
        self._partners = partners
        self._scenarios = scenarios
        self._quiet_after_refusal = quiet_after_refusal

    async def request(self, consent_id: str, *, partner_id: str, client_id: str, days: int | None) -> Extension:
        """Asks the subject to let the consent last ``days`` from their yes, at most as long as the scenario allows.

        They have a week to answer, and no longer than the consent lasts. Raises ``XinyiError``: NOT_FOUND;
        NOT_ENTITLED; PARTNER_SUSPENDED; INVALID for more days than the scenario allows, or fewer than are left;
        WRONG_STATE unless the consent is given and open, or while an extension waits already; CONSENT_OUTDATED;
        COOLING_DOWN for some time after they refused one.
        """
        async with self._database.transaction() as tx:
            await self._consents.own(tx, consent_id, partner_id)
            consent = (await repo.lock(tx, [consent_id]))[consent_id]
            client = await self._partners.client(tx, client_id)
            if client is None or consent.scenario_id not in client.scenarios:
                raise XinyiError(Code.NOT_ENTITLED)
            require_active(client)
            await self._consents.require_acting(tx, consent)
            now = whole_seconds(self._clock.now())
            self._require_open(consent, now)
            most = self._scenarios.version(consent.scenario_id, consent.scenario_version).consent.max_days
            wanted = most if days is None else days
            assert consent.expires_at is not None, "it was given"
            if wanted > most:
                raise XinyiError(Code.INVALID, f"the scenario allows {most} days at most", source="/days")
            if now + timedelta(days=wanted) < consent.expires_at:
                raise XinyiError(Code.INVALID, "the consent lasts longer anyway", source="/days")
            if consent.extension_due_at is not None and now < consent.extension_due_at:
                raise XinyiError(Code.WRONG_STATE, "an extension waits for the subject's answer already")
            lapsed = [] if consent.extension_due_at is None else [await lapse(tx, consent)]
            refused = await repo.last_refused_extension(tx, consent.id)
            if refused is not None and now < refused + self._quiet_after_refusal:
                raise cooling_down(refused + self._quiet_after_refusal - now, "the subject refused this not long ago")
            extension = Extension(
                id=new_id("ext", self._clock.now()),
                consent_id=consent.id,
                days=wanted,
                created_at=now,
                request_expires_at=min(now + ANSWER_EXTENSION_WITHIN, consent.expires_at),
                expired_before=consent.expires_at,
            )
            await repo.add_extension(tx, extension)
            asked = replace(consent, extension_due_at=extension.request_expires_at)
            await self._journal.write(tx, now, *lapsed, Change(Event.EXTENSION_REQUESTED, asked, extension))
            return extension

    async def history(self, consent_id: str, partner_id: str) -> tuple[Consent, list[Extension]]:
        """A partner's own consent, and what more time was asked for it, newest first. Raises NOT_FOUND."""
        async with self._database.read() as tx:
            consent = await self._consents.own(tx, consent_id, partner_id)
            return consent, await repo.extensions_of(tx, consent.id)

    async def show(self, consent_id: str, subject_id: str, language: Language) -> tuple[Consent, Extension, Notice]:
        """The extension that the subject is asked for. Raises ``XinyiError``: NOT_FOUND; WRONG_STATE without one."""
        async with self._database.read() as tx:
            consent = await self._consents.mine(tx, consent_id, subject_id)
            extension = await self._awaiting(tx, consent, self._clock.now())
            return consent, extension, await self._consents.notice(tx, consent, language)

    async def grant(
        self, consent_id: str, extension_id: str, subject_id: str, *, representative_id: str | None = None
    ) -> Consent:
        """The subject agrees. Raises ``XinyiError``: NOT_FOUND, WRONG_STATE, CONSENT_OUTDATED, PARTNER_SUSPENDED."""
        async with self._database.transaction() as tx:
            consent, extension, now = await self._decide(tx, consent_id, extension_id, subject_id)
            self._require_open(consent, now)
            client = await self._partners.client(tx, consent.client_id)
            if client is None:
                raise XinyiError(Code.NOT_ENTITLED)
            require_active(client)
            await self._consents.require_acting(tx, consent)
            expires_at = now + timedelta(days=extension.days)
            granted = replace(extension, decided_at=now, decision=Decision.GRANTED, expires_at=expires_at)
            extended = replace(consent, expires_at=expires_at, extension_due_at=None, warned_at=None)
            await repo.update_extension(tx, granted)
            if consent.form is ConsentForm.WRITTEN:
                await self._consents.renew_copy(tx, extended, now)
            change = Change(Event.EXTENDED, extended, granted, Party.SUBJECT, representative_id)
            await self._journal.write(tx, now, change)
            return extended

    async def refuse(
        self, consent_id: str, extension_id: str, subject_id: str, *, representative_id: str | None = None
    ) -> Consent:
        """The subject refuses: the consent ends when it would have. Raises ``XinyiError``: NOT_FOUND, WRONG_STATE."""
        async with self._database.transaction() as tx:
            consent, extension, now = await self._decide(tx, consent_id, extension_id, subject_id)
            refused = replace(extension, decided_at=now, decision=Decision.REFUSED)
            kept = replace(consent, extension_due_at=None)
            await repo.update_extension(tx, refused)
            change = Change(Event.EXTENSION_REJECTED, kept, refused, Party.SUBJECT, representative_id)
            await self._journal.write(tx, now, change)
            return kept

    async def _decide(
        self, tx: AsyncConnection, consent_id: str, extension_id: str, subject_id: str
    ) -> tuple[Consent, Extension, datetime]:
        await self._consents.mine(tx, consent_id, subject_id)
        consent = (await repo.lock(tx, [consent_id]))[consent_id]
        now = whole_seconds(self._clock.now())
        extension = await self._awaiting(tx, consent, now)
        if extension.id != extension_id:
            raise XinyiError(Code.WRONG_STATE, "another extension is asked for by now: look at it first")
        return consent, extension, now

    async def _awaiting(self, tx: AsyncConnection, consent: Consent, at: datetime) -> Extension:
        asked = await repo.undecided_extension(tx, consent.id)
        if asked is None or extension_state(asked, consent, at) is not ExtensionState.AWAITING_AUTHORISATION:
            raise XinyiError(Code.WRONG_STATE, "no extension waits for an answer")
        return asked

    def _require_open(self, consent: Consent, at: datetime) -> None:
        if (present := state(consent, at)) not in _OPEN:
            raise XinyiError(Code.WRONG_STATE, f"the consent is {present.value}")
        consented = self._scenarios.consented(consent.scenario_id, consent.scenario_version, consent.scenario_digest)
        if consented is None or self._scenarios.is_outdated(consented):
            raise XinyiError(Code.CONSENT_OUTDATED)
