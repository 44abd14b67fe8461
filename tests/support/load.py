"""Callers that go on whatever happens to the servers, and remember what was acknowledged."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from msgspec import Struct, field

from tests.support.fleet import Partner
from xinyi.consents.model import Consent


class Told(Struct, frozen=True):
    """One answer, whatever it says; status 0 when there was none."""

    at: int
    """Which of the partners asked: each calls one worker."""
    reference: str
    status: int
    body: bytes = b""
    retry_after: str | None = None
    took: float = 0.0
    """Seconds."""
    why: str = ""
    """The client's error when there was no answer."""


class Load(Struct, kw_only=True):
    """Checks under one consent, each with a reference of its own, as fast as they are answered."""

    partners: Sequence[Partner]
    consent: Consent
    told: list[Told] = field(default_factory=list)
    pause: float = 0.0
    """Seconds that a caller waits after it wasn't answered."""
    until_refused: bool = False
    """Whether a caller goes when it wasn't answered."""
    name: str = "CASE"
    _sent: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def running(self, callers: int = 8) -> AsyncIterator[None]:
        """The callers at work, until the block ends, or each is refused; what they have asked is still awaited."""
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(self._call(number, stopping)) for number in range(callers)]
        try:
            yield
            if self.until_refused:
                await asyncio.gather(*tasks)
        finally:
            stopping.set()
            await asyncio.gather(*tasks)

    async def until(self, enough: int, status: int = 200, *, at: int | None = None) -> None:
        """Waits for as many further answers with this status, at one worker if it is named."""
        begin = len(self.told)
        while sum(each.status == status and at in {None, each.at} for each in self.told[begin:]) < enough:
            self._news.clear()
            await self._news.wait()

    @property
    def acknowledged(self) -> dict[str, bytes]:
        """The checks that were answered, by reference."""
        return {each.reference: each.body for each in self.told if each.status == 200}

    async def ask(self, at: int) -> Told:
        """One more check."""
        self._sent += 1
        reference = f"{self.name}-{self._sent}"
        begin = time.monotonic()
        try:
            response = await self.partners[at].check(
                self.consent.id, self.consent.scenario_id, reference, f"key-{reference}"
            )
        except httpx.TransportError as error:
            told = Told(at, reference, 0, took=time.monotonic() - begin, why=type(error).__name__)
        else:
            retry_after: Any = response.headers.get("retry-after")
            took = time.monotonic() - begin
            told = Told(at, reference, response.status_code, response.content, retry_after, took)
        self.told.append(told)
        self._news.set()
        return told

    async def _call(self, number: int, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            told = await self.ask(number % len(self.partners))
            if told.status != 200:
                if self.until_refused:
                    return
                await asyncio.sleep(self.pause)
