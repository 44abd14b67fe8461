"""How often one client or one subject may call: counted by the minute, where the proofs are remembered."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Final

from litestar.types import Scope
from msgspec import Struct

from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from ..settings import Settings
from ..storage.cache import Cache, drop

WINDOW: Final = 60
"""Seconds. Windows are the same for everybody, so that all workers count alike."""


class Limit(StrEnum):
    """What is counted apart."""

    CALLS = "calls"
    CHECKS = "checks"
    UPLOADS = "uploads"
    PUSHES = "pushes"
    TOKENS = "tokens"
    REQUESTS = "requests"
    """Of one subject, in all of their sessions."""


OPTION: Final = "limit"
"""In a handler's ``opt``: the :class:`Limit` that its calls count against; ``CALLS`` unless it says otherwise."""


class Rate(Struct, frozen=True):
    """How a client stands: of ``quota`` calls it has ``left`` in this window, which ends in ``ends_in`` seconds."""

    limit: Limit
    quota: int
    left: int
    ends_in: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers-10)."""
        return [
            (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (self.limit.encode(), self.quota, WINDOW)),
            (b"ratelimit", b'"%s";r=%d;t=%d' % (self.limit.encode(), self.left, self.ends_in)),
        ]


Note = Callable[[Rate], None]


def noting(scope: Scope) -> Note:
    """Keeps the rate for the headers of the response: see ``web.middleware``."""
    state = scope["state"]

    def note(rate: Rate) -> None:
        state["rate"] = rate

    return note


class Counted:
    """A call that is being counted: await :meth:`settle` before it is served, and :meth:`drop` it in any case."""

    def __init__(self, counted: asyncio.Future[int], limit: Limit, quota: int, ends_in: int) -> None:
        self._counted = counted
        self._limit = limit
        self._quota = quota
        self._ends_in = ends_in

    async def settle(self, note: Note) -> None:
        """Tells ``note`` how the client stands, once half of its calls are used; before that nobody needs to know.

        Raises ``XinyiError``: RATE_LIMITED when this is a call too many, UNAVAILABLE when it can't be counted.
        """
        left = self._quota - await self._counted
        if 2 * left <= self._quota:
            note(Rate(self._limit, self._quota, max(left, 0), self._ends_in))
        if left < 0:
            who = "you" if self._limit is Limit.REQUESTS else "this client"
            detail = f"{who} may make {self._quota} {self._limit.value} in {WINDOW} seconds"
            raise XinyiError(Code.RATE_LIMITED, detail, retry_after=self._ends_in)

    def drop(self) -> None:
        """Nobody waits for the count any more."""
        drop(self._counted)


class Rates:
    """Counts each client's calls."""

    def __init__(self, cache: Cache, clock: Clock, settings: Settings) -> None:
        self._cache = cache
        self._clock = clock
        self._quotas = {
            Limit.CALLS: settings.rate_calls,
            Limit.CHECKS: settings.rate_checks,
            Limit.UPLOADS: settings.rate_uploads,
            Limit.PUSHES: settings.rate_pushes,
            Limit.TOKENS: settings.rate_tokens,
            Limit.REQUESTS: settings.rate_requests,
        }

    def count(self, limit: Limit, who: str) -> Counted:
        """Counts one call of a client or of a subject.

        The count is under way when this returns: it costs no round trip of its own. Raises ``XinyiError(UNAVAILABLE)``.
        """
        key, left = self._window(limit, who)
        counted = self._cache.count(key, timedelta(seconds=left + 1))
        return Counted(counted, limit, self._quotas[limit], math.ceil(left))

    async def standing(self, limit: Limit, client_id: str) -> Rate:
        """How the client stands, without counting anything. Raises ``XinyiError(UNAVAILABLE)``."""
        key, left = self._window(limit, client_id)
        used = int(await self._cache.get(key) or 0)
        return Rate(limit, self._quotas[limit], max(self._quotas[limit] - used, 0), math.ceil(left))

    def _window(self, limit: Limit, who: str) -> tuple[str, float]:
        """What counts the calls in this window, and the seconds until it ends."""
        now = self._clock.now().timestamp()
        window = int(now // WINDOW)
        return f"rate:{limit.value}:{who}:{window}", (window + 1) * WINDOW - now
