"""Partners, sources and clients as everyone reads them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from ..kernel.text import Text
from ..web.scopes import Scope


class Standing(StrEnum):
    """Whether a partner or a source may act. Reversible."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class ClientStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class Partner(Struct, frozen=True):
    """An institution that asks for checks (接入机构)."""

    id: str
    name: Text
    kind: str
    """What it is, in the words of the scenarios' ``partner_kinds``: ``bank``, ``bike-share``, …"""
    contact: str
    """How people reach it, as it is to be read: every consent page names it (PIPL 23)."""
    status: Standing
    created_at: datetime

    @property
    def active(self) -> bool:
        return self.status is Standing.ACTIVE


class SubPartyStatus(StrEnum):
    ACTIVE = "active"
    CLOSED = "closed"
    """For good: nothing new is asked under it, and no check is answered."""


class SubParty(Struct, frozen=True):
    """A part of a partner that people deal with: a bank's branch, a platform's merchant.

    Its name stays as it is: people agreed to it. One that is called anew is closed, and another one added.
    """

    id: str
    partner_id: str
    name: Text
    contact: str | None
    """How people reach it, when that is another way than the partner's."""
    status: SubPartyStatus
    created_at: datetime

    @property
    def active(self) -> bool:
        return self.status is SubPartyStatus.ACTIVE


def acting(partner: Partner, sub_party: SubParty | None) -> Text:
    """Who asks, in a line: the partner, and by whom it acts."""
    if sub_party is None:
        return partner.name
    return Text(f"{partner.name.zh}（{sub_party.name.zh}）", f"{partner.name.en} ({sub_party.name.en})")


class Source(Struct, frozen=True):
    """A body that supplies positive records (信息提供单位)."""

    id: str
    """A slug, such as ``tax-bureau``: records name their source by it."""
    name: Text
    record_types: tuple[str, ...]
    """The codes of the record types that it may supply."""
    status: Standing
    created_at: datetime

    @property
    def active(self) -> bool:
        return self.status is Standing.ACTIVE


class ClientKey(Struct, frozen=True):
    """One registered key of a client."""

    id: str
    """Its thumbprint (RFC 7638)."""
    jwk: dict[str, Any]
    added_at: datetime
    works_from: datetime
    """From when on it authenticates the client."""


class KeyChange(StrEnum):
    """What became of a key."""

    ADDED = "added"
    REMOVED = "removed"


class ChangedBy(StrEnum):
    """Who changed a client's keys."""

    OPERATOR = "operator"
    CLIENT = "client"


class NotedChange(Struct, frozen=True):
    """One change of a client's keys, as it was noted. ``key_id`` is the key's thumbprint."""

    client_id: str
    at: datetime
    change: KeyChange
    key_id: str
    kid: str
    made_by: ChangedBy


class Client(Struct, frozen=True):
    """One program of a partner or of a source, known by its keys."""

    id: str
    name: str
    partner: Partner | None
    source: Source | None
    jwks: dict[str, Any] | None
    """The public keys (RFC 7517 §5) that it authenticates with, as :func:`partners.keys.check_jwks` lets through;
    ``None`` when it publishes them itself. One that it added by itself says with :data:`partners.keys.WORKS_FROM` when
    it begins to work."""
    jwks_uri: str | None
    """Where it publishes its keys, unless they are registered."""
    redirect_uris: tuple[str, ...]
    scopes: frozenset[Scope]
    scenarios: dict[str, frozenset[str] | None]
    """The scenarios it was given, each with the units it may learn; ``None`` stands for all that the scenario tells."""
    status: ClientStatus
    created_at: datetime

    @property
    def active(self) -> bool:
        """Whether the client itself may act. Its partner's or source's standing is told apart from it."""
        return self.status is ClientStatus.ACTIVE

    @property
    def owner(self) -> Partner | Source:
        owner = self.partner or self.source
        assert owner is not None, "a client belongs to a partner or to a source"
        return owner

    @property
    def partner_id(self) -> str | None:
        return self.partner.id if self.partner else None

    @property
    def source_id(self) -> str | None:
        return self.source.id if self.source else None
