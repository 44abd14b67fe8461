"""What partners are told about their consents. Pure: nothing in it depends on a record."""

from datetime import datetime
from typing import Final

from ..storage.outbox import NewEvent
from .model import Consent, Event, Extension, Party, end, state

CONSUMED: Final = "consumed"
"""Tells of the check that used a consent up: the ledger has the check's own leaf."""
EXPIRING: Final = "expiring"
"""Tells of an end that is near: nothing has changed, so the ledger has no leaf of it."""


def told(
    what: Event | str,
    consent: Consent,
    at: datetime,
    *,
    extension: Extension | None = None,
    by: Party | None = None,
) -> NewEvent:
    """The event ``consent.<what>``, which happened ``at`` this moment. ``by`` ended what isn't the consent itself."""
    ended = end(consent, at)
    data: dict[str, object] = {
        "consent_id": consent.id,
        "scenario": {"id": consent.scenario_id, "version": consent.scenario_version},
        "sub_party": consent.sub_party_id,
        "state": state(consent, at).value,
        "reason": None if ended is None else ended.reason.value,
        "ended_by": None if ended is None else ended.by.value,
        "authorised_at": _text(consent.authorised_at),
        "expires_at": _text(consent.expires_at),
        "ended_at": None if ended is None else _text(ended.at),
    }
    if extension is not None:
        data["extension"] = {
            "id": extension.id,
            "days": extension.days,
            "decision": None if extension.decision is None else extension.decision.value,
            "decided_by": None if by is None else by.value,
            "request_expires_at": _text(extension.request_expires_at),
        }
    return NewEvent(f"consent.{what}", consent.partner_id, data)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
