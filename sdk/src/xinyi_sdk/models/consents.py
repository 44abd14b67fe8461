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
    ``once`` or ``recurring``; ``subject`` is the subject's id for this partner alone.
    """

    id: str
    state: str
    scenario: ScenarioVersion
    units: tuple[str, ...]
    form: str
    uses: str
    use_count: int
    subject: str | None
    created_at: datetime
    request_expires_at: datetime
    authorised_at: datetime | None
    expires_at: datetime | None
    ended: ConsentEnd | None

    @property
    def usable(self) -> bool:
        """Whether it was authorised when it was read. It may have ended since: only a check decides."""
        return self.state == ConsentState.AUTHORISED


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
