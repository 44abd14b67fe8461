"""A refresh token, as it is stored."""

from datetime import datetime

from msgspec import Struct


class RefreshToken(Struct, frozen=True, kw_only=True):
    """What stands for a refresh token here: never the token itself.

    It belongs to one client and one recurring consent, whose end is its own. ``family`` names everything that the
    same code gave.
    """

    token_hash: str
    family: str
    client_id: str
    consent_id: str
    created_at: datetime
    revoked_at: datetime | None = None
