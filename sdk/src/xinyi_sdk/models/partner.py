"""The partner itself: its rights and its keys."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from .common import Text


class GivenScenario(Struct, frozen=True, kw_only=True):
    """A scenario that the client was given; ``units`` narrows what answers tell, ``None`` is all of it."""

    id: str
    units: tuple[str, ...] | None


class PartnerClient(Struct, frozen=True, kw_only=True):
    """The program that asks, and what it may do."""

    id: str
    name: str
    scopes: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    scenarios: tuple[GivenScenario, ...]
    jwks_uri: str | None


class PartnerInfo(Struct, frozen=True, kw_only=True):
    """The partner as it is registered; ``status`` is ``active`` or ``suspended``."""

    id: str
    name: Text
    kind: str
    contact: str
    status: str
    client: PartnerClient


class SubParty(Struct, frozen=True, kw_only=True):
    """A branch or merchant by which the partner acts; ``status`` is ``active`` or ``closed``, for good."""

    id: str
    name: Text
    contact: str | None
    status: str
    created_at: datetime


class PartnerKey(Struct, frozen=True, kw_only=True):
    """A public key that the client may authenticate with from ``works_from`` on.

    ``id`` is its thumbprint (RFC 7638).
    """

    id: str
    kid: str
    kty: str
    alg: str | None
    added_at: datetime
    works_from: datetime


class Quota(Struct, frozen=True, kw_only=True):
    """How often this client may make one kind of call, and how often it still may in this window."""

    limit: str
    quota: int
    window_seconds: int
    remaining: int
    ends_in_seconds: int


class UsageRow(Struct, frozen=True, kw_only=True):
    """The checks of one scenario in one ``period``, a day or a month in China. Refused ones cost nothing."""

    period: str
    scenario: str
    answered: int
    refused: int
    amount: Decimal


class Usage(Struct, frozen=True, kw_only=True):
    """What was used, and what it costs in ``currency``: cost recovery, if any."""

    rows: tuple[UsageRow, ...]
    currency: str | None
