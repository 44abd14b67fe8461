"""A consent, and its state computed from its times. Pure.

``awaiting_authorisation → authorised ⇄ paused → withdrawn | expired | consumed`` and
``awaiting_authorisation → rejected | withdrawn | expired``. Nothing sweeps: what is expired is seen to be.
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
    WITHDRAWN = "withdrawn"


class Consent(Struct, frozen=True, kw_only=True):
    """One consent, as it is stored.

    ``units`` are the criteria and fields that the answer may tell; ``named_subject`` is the keyed hash of the
    identifier that the partner named: then no other subject can answer. ``representative_id`` acted for a company.
    ``ended_as`` is set by what someone does; what time does is computed.
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
    named_subject: str | None = None
    subject_id: str | None = None
    representative_id: str | None = None
    language: Language | None = None
    notice_digest: str | None = None
    created_at: datetime
    request_expires_at: datetime
    authorised_at: datetime | None = None
    expires_at: datetime | None = None
    paused_at: datetime | None = None
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


def spend(consent: Consent, at: datetime) -> Consent:
    """The consent after one more check: a once-only one is consumed."""
    used = replace(consent, use_count=consent.use_count + 1)
    if not consent.once:
        return used
    return replace(
        used, ended_at=at, ended_as=ConsentState.CONSUMED, ended_by=Party.PARTNER, end_reason=EndReason.USED_UP
    )
