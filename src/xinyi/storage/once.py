"""What may be used once: proofs, assertions. A use is remembered for as long as it could come again."""

import math
from datetime import timedelta

from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from .cache import Cache
from .horizon import Horizon


class Forgotten(Exception):
    """It was made before the state that remembers uses began, so whether it was used can't be known."""


class Uses:
    """Lets each thing pass once, however the short-lived state comes and goes."""

    def __init__(self, cache: Cache, horizon: Horizon, clock: Clock) -> None:
        self._cache = cache
        self._horizon = horizon
        self._clock = clock

    async def first(self, key: str, ttl: timedelta, *, made: float) -> bool:
        """Whether this is the first use of ``key``, which is dated ``made`` (seconds since 1970).

        Raises :class:`Forgotten`, and ``XinyiError(UNAVAILABLE)`` when it can't be told: then it isn't used.
        """
        await self._horizon.note(made)
        if not await self._cache.add(key, ttl):
            return False
        # After the operation: the state may have begun anew with this very one.
        since = self._cache.since.timestamp()
        if made < since:
            if (wait := since - self._clock.now().timestamp()) > 0:
                detail = "what was used before isn't known: wait a moment"
                raise XinyiError(Code.UNAVAILABLE, detail, retry_after=math.ceil(wait))
            raise Forgotten
        return True
