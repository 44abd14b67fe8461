"""Authorization codes: they live 60 seconds and work once. What a code gave is one family, named after the code."""

from datetime import timedelta
from typing import Final

import msgspec
from msgspec import Struct

from ..storage.cache import Cache
from ..storage.keys import Secret
from ..storage.opaque import keyed_hash, keyed_hashes, new_opaque

LIFETIME: Final = timedelta(seconds=60)
_FAMILY: Final = "family"


class Grant(Struct, frozen=True):
    """What a code stands for."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    dpop_jkt: str | None
    consent_id: str


class Codes:
    """Issues codes and takes them back."""

    def __init__(self, cache: Cache, opaque: Secret) -> None:
        self._cache = cache
        self._opaque = opaque

    async def issue(
        self, *, client_id: str, redirect_uri: str, code_challenge: str, dpop_jkt: str | None, consent_id: str
    ) -> str:
        """A new code."""
        code = new_opaque()
        grant = Grant(client_id, redirect_uri, code_challenge, dpop_jkt, consent_id)
        await self._cache.put(self._key(code), LIFETIME, msgspec.json.encode(grant))
        return code

    async def take(self, code: str) -> Grant | None:
        """What the code stands for, to one caller only; whoever comes later gets nothing."""
        found = await self._cache.take(self._key(code))
        return None if found is None else msgspec.json.decode(found, type=Grant)

    def family(self, code: str) -> str:
        """Names everything that the code gives."""
        return keyed_hash(self._opaque, _FAMILY, code)

    def families(self, code: str) -> list[str]:
        """All names that the code's family can have, whichever version of the secret named it."""
        return keyed_hashes(self._opaque, _FAMILY, code)

    def _key(self, code: str) -> str:
        return f"code:{keyed_hash(self._opaque, 'code', code)}"
