"""A consent, and its state computed from its times. Pure.

``awaiting_authorisation → authorised ⇄ paused → withdrawn | expired | consumed`` and
``awaiting_authorisation → rejected | withdrawn | expired``. What is expired is seen to be: nothing has to sweep before.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..kernel.errors import Code
from ..kernel.text import Language
from ..scenarios.model import ConsentForm, Uses

ANSWER_WITHIN: Final = timedelta(minutes=60)
"""An unanswered request expires after this."""
ANSWER_EXTENSION_WITHIN: Final = timedelta(days=7)
"""An unanswered extension lapses after this, or with its consent: nobody stands at a counter and waits for it."""
WARN_AHEAD: Final = timedelta(days=7)
"""The partner is told this long before a consent expires; of one that is short, when half of its time is left."""


class ConsentState(StrEnum):
    AWAITING_AUTHORISATION = "awaiting_authorisation"
    AUTHORISED = "authorised"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    CONSUMED = "consumed"
    REJECTED = "rejected"


OPEN: Final = frozenset({ConsentState.AWAITING_AUTHORISATION, ConsentState.AUTHORISED, ConsentState.PAUSED})
"""The states that something may still follow; from every other one there is no way back."""


class Channel(StrEnum):
    """How a consent was asked for."""

    REDIRECT = "redirect"
    """The subject came from the partner's site."""
    LINK = "link"
    """The partner sent the subject a link or showed a QR code."""


class Party(StrEnum):
    """Who ended a consent."""

    SUBJECT = "subject"
    PARTNER = "partner"
    OPERATOR = "operator"
    TIME = "time"


class EndReason(StrEnum):
    """Why a consent ended."""

    REFUSED = "refused"
    WITHDRAWN_BY_SUBJECT = "withdrawn_by_subject"
    GIVEN_UP_BY_PARTNER = "given_up_by_partner"
    ENDED_BY_OPERATOR = "ended_by_operator"
    SUPERSEDED = "superseded"
    USED_UP = "used_up"
    UNANSWERED = "unanswered"
    TERM_REACHED = "term_reached"


class Event(StrEnum):
    """A change of a consent: each leaves one leaf in the ledger."""

    REQUESTED = "requested"
    AUTHORISED = "authorised"
    REJECTED = "rejected"
    PAUSED = "paused"
    RESUMED = "resumed"
    EXTENSION_REQUESTED = "extension_requested"
    EXTENDED = "extended"
    EXTENSION_REJECTED = "extension_rejected"
    REMINDED = "reminded"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Consent(Struct, frozen=True, kw_only=True):
    """One consent, as it is stored.

    ``units`` are the criteria and fields that the answer may tell; ``named_subject`` is the keyed hash of the
    identifier that the partner named: then no other subject can answer. ``representative_id`` agreed for a company;
    ``sub_party_id`` is the partner's branch or merchant that it is given to.
    ``text_digest`` is of the full text of a written consent. ``ended_as`` is set by what someone does; what time does
    is computed, and written down by the sweep. ``extension_due_at`` is when the extension lapses that the subject is
    asked for; ``warned_at`` when the partner was told that the end is near.
    """

    id: str
    partner_id: str
    client_id: str
    scenario_id: str
    scenario_version: int
    scenario_digest: str
    units: tuple[str, ...]
    form: ConsentForm
    uses: Uses
    sub_party_id: str | None = None
    channel: Channel = Channel.REDIRECT
    named_subject: str | None = None
    subject_id: str | None = None
    representative_id: str | None = None
    language: Language | None = None
    notice_digest: str | None = None
    text_digest: str | None = None
    created_at: datetime
    request_expires_at: datetime
    authorised_at: datetime | None = None
    expires_at: datetime | None = None
    paused_at: datetime | None = None
    reminded_at: datetime | None = None
    extension_due_at: datetime | None = None
    warned_at: datetime | None = None
    ended_at: datetime | None = None
    ended_as: ConsentState | None = None
    end_reason: EndReason | None = None
    ended_by: Party | None = None
    use_count: int = 0

    @property
    def given(self) -> bool:
        """Whether the subject ever agreed."""
        return self.authorised_at is not None

    @property
    def once(self) -> bool:
        return self.uses is Uses.ONCE


class Decision(StrEnum):
    """What became of an extension that was asked for."""

    GRANTED = "granted"
    REFUSED = "refused"
    LAPSED = "lapsed"


class ExtensionState(StrEnum):
    """How an extension stands."""

    AWAITING_AUTHORISATION = "awaiting_authorisation"
    GRANTED = "granted"
    REFUSED = "refused"
    LAPSED = "lapsed"


class Extension(Struct, frozen=True, kw_only=True):
    """More time for a consent, ``days`` from the moment that the subject agrees."""

    id: str
    consent_id: str
    days: int
    created_at: datetime
    request_expires_at: datetime
    decided_at: datetime | None = None
    decision: Decision | None = None
    expired_before: datetime
    """When the consent would have ended without it."""
    expires_at: datetime | None = None
    """When it ends with it."""


class End(Struct, frozen=True):
    """How, when, by whom and why a consent ended."""

    state: ConsentState
    at: datetime
    by: Party
    reason: EndReason


def end(consent: Consent, at: datetime) -> End | None:
    """How the consent has ended by the moment ``at``; ``None`` while it is open.

    It ends *at* its expiry, not after it. What someone ended has ended, whatever ``at`` says: another worker's clock
    may be behind, and a withdrawal must not wait for it.
    """
    if consent.ended_as is not None:
        assert consent.ended_at is not None
        assert consent.ended_by is not None
        assert consent.end_reason is not None
        return End(consent.ended_as, consent.ended_at, consent.ended_by, consent.end_reason)
    if consent.expires_at is None:
        if at >= consent.request_expires_at:
            return End(ConsentState.EXPIRED, consent.request_expires_at, Party.TIME, EndReason.UNANSWERED)
    elif at >= consent.expires_at:
        return End(ConsentState.EXPIRED, consent.expires_at, Party.TIME, EndReason.TERM_REACHED)
    return None


def state(consent: Consent, at: datetime) -> ConsentState:
    """The state of the consent at the moment ``at``."""
    ended = end(consent, at)
    if ended is not None:
        return ended.state
    if not consent.given:
        return ConsentState.AWAITING_AUTHORISATION
    return ConsentState.AUTHORISED if consent.paused_at is None else ConsentState.PAUSED


_REFUSALS: Final[Mapping[ConsentState, Code]] = {
    ConsentState.PAUSED: Code.CONSENT_PAUSED,
    ConsentState.WITHDRAWN: Code.CONSENT_WITHDRAWN,
    ConsentState.EXPIRED: Code.CONSENT_EXPIRED,
    ConsentState.CONSUMED: Code.CONSENT_CONSUMED,
}


def refusal(consent: Consent, scenario_id: str, at: datetime) -> Code | None:
    """Why a consent that was given doesn't carry a check of this scenario at the moment ``at``; ``None`` when it does.

    One that was never given is for checks as if it didn't exist: the caller doesn't get here.
    """
    if scenario_id != consent.scenario_id:
        return Code.SCENARIO_MISMATCH
    return _REFUSALS.get(state(consent, at))


def warn_at(consent: Consent) -> datetime | None:
    """When the partner is told that a consent that was given is about to end."""
    if consent.authorised_at is None or consent.expires_at is None:
        return None
    return consent.expires_at - min(WARN_AHEAD, (consent.expires_at - consent.authorised_at) / 2)


def due_at(consent: Consent) -> datetime | None:
    """When time next does something to the consent; ``None`` once it has ended."""
    if consent.ended_as is not None:
        return None
    if not consent.given:
        return consent.request_expires_at
    moments = [consent.expires_at, consent.extension_due_at]
    if consent.warned_at is None:
        moments.append(warn_at(consent))
    return min(moment for moment in moments if moment is not None)


def extension_state(extension: Extension, consent: Consent, at: datetime) -> ExtensionState:
    """How the extension of ``consent`` stands at the moment ``at``: it lapses with its consent."""
    if extension.decision is not None:
        return ExtensionState(extension.decision.value)
    if at >= extension.request_expires_at or end(consent, at) is not None:
        return ExtensionState.LAPSED
    return ExtensionState.AWAITING_AUTHORISATION


def spend(consent: Consent, at: datetime) -> Consent:
    """The consent after one more check: a once-only one is consumed."""
    used = replace(consent, use_count=consent.use_count + 1)
    if not consent.once:
        return used
    return replace(
        used, ended_at=at, ended_as=ConsentState.CONSUMED, ended_by=Party.PARTNER, end_reason=EndReason.USED_UP
    )
