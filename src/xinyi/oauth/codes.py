"""Authorization codes: they live 60 seconds, work once, and a second use revokes what the first gave."""

import secrets
from datetime import timedelta
from typing import Final

import msgspec
from msgspec import Struct

from ..storage.cache import Cache
from ..storage.keys import Secret
from ..storage.opaque import keyed_hash, new_opaque
from .access_token import LIFETIME as TOKEN_LIFETIME
from .access_token import AccessTokens

LIFETIME: Final = timedelta(seconds=60)


class Grant(Struct, frozen=True):
    """What a code stands for."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    dpop_jkt: str | None
    consent_id: str
    family: str
    """Names everything that the code gives."""


class Codes:
    """Issues codes and takes them back."""

    def __init__(self, cache: Cache, opaque: Secret, tokens: AccessTokens) -> None:
        self._cache = cache
        self._opaque = opaque
        self._tokens = tokens

    async def issue(
        self, *, client_id: str, redirect_uri: str, code_challenge: str, dpop_jkt: str | None, consent_id: str
    ) -> str:
        """A new code."""
        code = new_opaque()
        grant = Grant(client_id, redirect_uri, code_challenge, dpop_jkt, consent_id, secrets.token_urlsafe(12))
        # The family outlives the code, so that whoever comes second knows what to revoke even while the first
        # is still being answered.
        await self._cache.put(self._key("family", code), LIFETIME + TOKEN_LIFETIME, grant.family.encode())
        await self._cache.put(self._key("code", code), LIFETIME, msgspec.json.encode(grant))
        return code

    async def take(self, code: str) -> Grant | None:
        """What the code stands for, to one caller only. Whoever comes later gets nothing and ends what it gave."""
        found = await self._cache.take(self._key("code", code))
        if found is not None:
            return msgspec.json.decode(found, type=Grant)
        family = await self._cache.get(self._key("family", code))
        if family is not None:
            await self._tokens.revoke_family(family.decode())
        return None

    def _key(self, kind: str, code: str) -> str:
        return f"{kind}:{keyed_hash(self._opaque, 'code', code)}"
