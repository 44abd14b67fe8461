"""Where every change of a consent is written: its row, its event for the partner, and its leaf in the ledger."""

import secrets
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.canonical import b64url, canonical_json
from ..ledger.model import NewEntry
from ..ledger.service import LedgerService
from ..storage import outbox
from ..subjects.service import SubjectService
from . import repo
from .events import told
from .model import Consent, Event, Extension, Party


class Change(Struct, frozen=True):
    """A consent as it is after ``event``. ``by`` decided about the ``extension``, when the event is about one.

    ``representative_id`` did it for a company.
    """

    event: Event
    consent: Consent
    extension: Extension | None = None
    by: Party | None = None
    representative_id: str | None = None


class Journal:
    """Writes changes within the caller's transaction, who holds the locks of the consents."""

    def __init__(self, ledger: LedgerService, subjects: SubjectService) -> None:
        self._ledger = ledger
        self._subjects = subjects

    async def begin(self, tx: AsyncConnection, consent: Consent, at: datetime) -> None:
        """Writes a new consent. Call it last, as :meth:`write`."""
        await repo.add(tx, consent)
        await self._log(tx, at, Change(Event.REQUESTED, consent))

    async def write(self, tx: AsyncConnection, at: datetime, *changes: Change) -> None:
        """Writes the changes. Locks the head of the ledger: nothing else may be locked after, so call it last."""
        for change in changes:
            await repo.update_one(tx, change.consent)
        events = [told(each.event, each.consent, at, extension=each.extension, by=each.by) for each in changes]
        await outbox.put(tx, events, at)
        await self._log(tx, at, *changes)

    def pairwise(self, consent: Consent) -> str | None:
        """The subject as the partner knows them, once they have agreed: a refusal doesn't tell who refused."""
        if consent.subject_id is None or not consent.given:
            return None
        return self._subjects.pairwise(consent.subject_id, consent.partner_id)

    def representative(self, consent: Consent, representative_id: str | None) -> str | None:
        """A representative as their company alone knows them: by nothing that a partner has."""
        if representative_id is None or consent.subject_id is None:
            return None
        return self._subjects.pairwise(representative_id, consent.subject_id)

    async def _log(self, tx: AsyncConnection, at: datetime, *changes: Change) -> None:
        entries = [NewEntry("consent", each.consent.id, canonical_json(self._body(each, at))) for each in changes]
        await self._ledger.append(tx, entries, at)

    def _body(self, change: Change, at: datetime) -> dict[str, Any]:
        consent, extension = change.consent, change.extension
        body: dict[str, Any] = {
            "kind": "consent",
            "id": consent.id,
            "event": change.event,
            "partner_id": consent.partner_id,
            "scenario": {
                "id": consent.scenario_id,
                "version": consent.scenario_version,
                "digest": consent.scenario_digest,
            },
            "sub_party": consent.sub_party_id,
            "subject": self.pairwise(consent),
            "representative": self.representative(consent, consent.representative_id),
            "acted_by": self.representative(consent, change.representative_id),
            "units": consent.units,
            "notice_digest": consent.notice_digest,
            "text_digest": consent.text_digest,
            "authorised_at": consent.authorised_at,
            "expires_at": consent.expires_at,
            "paused_at": consent.paused_at,
            "at": at,
            "ended_at": consent.ended_at,
            "ended_by": consent.ended_by,
            "reason": consent.end_reason,
            "salt": b64url(secrets.token_bytes(16)),
        }
        if extension is not None:
            body["extension"] = {
                "id": extension.id,
                "days": extension.days,
                "decision": extension.decision,
                "decided_by": change.by,
                "expires_at": extension.expires_at,
            }
        return body
