"""The partner itself: its rights and its keys."""

from datetime import datetime

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


class PartnerKey(Struct, frozen=True, kw_only=True):
    """A public key that the client may authenticate with. ``id`` is its thumbprint (RFC 7638)."""

    id: str
    kid: str
    kty: str
    alg: str | None
    added_at: datetime
