"""Refresh tokens (RFC 6749 §6): for recurring consents, never rotated (FAPI 2.0 §5.3.2.1-9), over with the consent.

They are constrained to their client by its authentication, with whatever key it proves itself today (RFC 9449 §5): a
consent may last a year, and a key should not have to. They are kept in the database, since losing the short-lived
state must not end a consent's use.
"""

from collections.abc import Collection

from ..kernel.clock import Clock, whole_seconds
from ..storage.database import Database
from ..storage.keys import Secret
from ..storage.opaque import keyed_hash, keyed_hashes, new_opaque
from . import repo
from .access_token import AccessTokens
from .model import RefreshToken

_PURPOSE = "refresh_token"


class RefreshTokens:
    """Issues refresh tokens, finds them again, and ends families of tokens."""

    def __init__(self, database: Database, clock: Clock, opaque: Secret, access_tokens: AccessTokens) -> None:
        self._database = database
        self._clock = clock
        self._opaque = opaque
        self._access_tokens = access_tokens

    async def issue(self, *, client_id: str, consent_id: str, family: str) -> str:
        """A new refresh token."""
        token = new_opaque()
        stored = RefreshToken(
            token_hash=keyed_hash(self._opaque, _PURPOSE, token),
            family=family,
            client_id=client_id,
            consent_id=consent_id,
            created_at=whole_seconds(self._clock.now()),
        )
        async with self._database.transaction() as tx:
            await repo.add(tx, stored)
        # Whoever used the code again meanwhile marked the family first and then looked for this row: one of us sees
        # the other.
        if await self._access_tokens.is_revoked_family(family):
            await self.revoke_families([family])
        return token

    async def find(self, token: str) -> RefreshToken | None:
        """The token, unless it was revoked."""
        async with self._database.read() as tx:
            found = await repo.find(tx, keyed_hashes(self._opaque, _PURPOSE, token))
        return None if found is None or found.revoked_at is not None else found

    async def revoke_families(self, families: Collection[str]) -> None:
        """From now on nothing works that one code gave: neither access tokens nor the refresh token."""
        for family in families:
            await self._access_tokens.revoke_family(family)
        async with self._database.read() as tx:
            wanted = await repo.in_use(tx, families)
        if wanted:
            async with self._database.transaction() as tx:
                await repo.revoke(tx, families, whole_seconds(self._clock.now()))
