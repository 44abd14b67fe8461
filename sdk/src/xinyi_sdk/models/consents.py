"""Consents, and asking for them."""

from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

from .common import ScenarioVersion


class ConsentState(StrEnum):
    """The states of a consent."""

    AWAITING_AUTHORISATION = "awaiting_authorisation"
    AUTHORISED = "authorised"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    CONSUMED = "consumed"
    REJECTED = "rejected"


class Subject(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A subject that the partner knows already: a USCC or a resident id, which never shows in ``repr``.

    ``kind`` (``legal_person`` or ``natural_person``) is needed only when the identifier fits both.
    """

    identifier: str
    kind: str | None = None

    def __repr__(self) -> str:
        return "Subject(…)"


class ConsentEnd(Struct, frozen=True, kw_only=True):
    """How a consent ended: when, by whom (``subject``, ``partner``, ``operator``, ``time``) and why."""

    at: datetime
    by: str
    reason: str


class Consent(Struct, frozen=True, kw_only=True):
    """A subject's consent to one scenario for one partner, as it stood when it was read.

    ``units`` are the criteria and fields that an answer may tell; ``form`` is ``separate`` or ``written``; ``uses`` is
    ``once`` or ``recurring``; ``sub_party`` is the branch or merchant of yours that it is given to; ``channel`` is
    ``redirect`` or ``link``; ``subject`` is the subject's id for this partner alone; the digests (SHA-256) pin the
    notice that the subject saw and, of a written consent, the text.
    """

    id: str
    state: str
    scenario: ScenarioVersion
    units: tuple[str, ...]
    form: str
    uses: str
    use_count: int
    sub_party: str | None = None
    channel: str = "redirect"
    subject: str | None
    created_at: datetime
    request_expires_at: datetime
    authorised_at: datetime | None
    expires_at: datetime | None
    notice_digest: str | None = None
    text_digest: str | None = None
    ended: ConsentEnd | None

    @property
    def usable(self) -> bool:
        """Whether it was authorised when it was read. It may have ended since: only a check decides."""
        return self.state == ConsentState.AUTHORISED


class ConsentLink(Struct, frozen=True, kw_only=True):
    """A consent that was asked for without a redirect: at a counter, by letter, in a message.

    Show ``qr_svg`` or send ``link``: the named subject signs in there and decides until ``request_expires_at``; nobody
    else can. The same comes for a subject that the platform knows and for one that it doesn't.
    """

    id: str
    scenario: ScenarioVersion
    units: tuple[str, ...]
    form: str
    uses: str
    created_at: datetime
    request_expires_at: datetime
    link: str
    qr_svg: str


class ConsentCopy(Struct, frozen=True, kw_only=True):
    """The signed copy of a written consent: its full text, and the platform's signature (not the subject's).

    ``jws`` verifies with the log's keys: archive it.
    """

    consent_id: str
    text: str
    text_digest: str
    signed_at: datetime
    jws: str


class ExtensionState(StrEnum):
    """How an extension stands."""

    AWAITING_AUTHORISATION = "awaiting_authorisation"
    GRANTED = "granted"
    REFUSED = "refused"
    LAPSED = "lapsed"


class Extension(Struct, frozen=True, kw_only=True):
    """More time that was asked for: ``days`` from the subject's yes, under the consent's own id."""

    id: str
    state: str
    days: int
    created_at: datetime
    request_expires_at: datetime
    decided_at: datetime | None
    expired_before: datetime
    expires_at: datetime | None


class Reminder(Struct, frozen=True, kw_only=True):
    """That the subject was reminded, whether or not they are known, and when they may be again."""

    reminded_at: datetime
    again_at: datetime


class ConsentRequest(Struct, frozen=True, kw_only=True):
    """A consent that was asked for. Send the subject to ``url`` and keep the rest until the callback.

    Any process of the partner may finish it. It holds secrets (``code_verifier`` and the request's own
    ``proof_key``), so keep it on the server or in an encrypted session, and neither in a log nor in a cookie that the
    browser can read.
    """

    url: str
    state: str
    scenario: str
    redirect_uri: str
    issuer: str
    expires_at: datetime
    code_verifier: str
    proof_key: str

    def __repr__(self) -> str:
        return f"ConsentRequest(scenario={self.scenario!r}, expires_at={self.expires_at.isoformat()}, …)"

    def to_json(self) -> str:
        """The request as text, for a session store."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "ConsentRequest":
        """What :meth:`to_json` wrote. Raises ``ValueError`` for anything else."""
        return msgspec.json.decode(text, type=cls)
