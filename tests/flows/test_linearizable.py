"""Withdrawals, pauses and suspensions hold for every check that starts after them, whichever worker answers it.

Callers at both workers ask, withdraw, pause and suspend at once; what each was told, and when, is one history, and the
history must have an explanation.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

import httpx
from msgspec import Struct, field

from tests.support.clock import ManualClock
from tests.support.fleet import Partner, calling, worker
from tests.support.history import CLOSED_BY, Kind, Operation, violations
from tests.support.pairs import Pair
from tests.support.process import ServerProcess
from tests.support.world import World, new_world
from xinyi.consents.model import Consent
from xinyi.consents.service import ConsentService
from xinyi.kernel.errors import Code, XinyiError
from xinyi.partners.model import Client
from xinyi.sandbox import identities

RECURRING, ONCE = "library-lending", "hotel-deposit"
CALLERS = 12
TURNS = 60
SEEDS = 3
CONSENTS = 6
EVERY_KIND = (*set(Kind) - {Kind.ASK}, "answered", *CLOSED_BY, "consent_consumed")


class Recorder(Struct):
    """What happened, on one clock."""

    operations: list[Operation] = field(default_factory=list)

    async def asked(self, consent: Consent, call: Awaitable[httpx.Response], first: int | None = None) -> str:
        start = time.monotonic_ns()
        response = await call
        end = time.monotonic_ns()
        told = response.json()
        result = told["data"]["id"] if response.status_code == 200 else told["code"]
        on = (consent.id, consent.partner_id)
        self.operations.append(Operation(kind=Kind.ASK, on=on, start=start, end=end, result=result, first=first))
        return str(result)

    async def changed(self, kind: Kind, on: str, call: Awaitable[object]) -> None:
        """Records a change unless it was refused, as it may be in the state or under a suspension."""
        start = time.monotonic_ns()
        try:
            await call
        except XinyiError as refused:
            if refused.code not in {Code.WRONG_STATE, Code.PARTNER_SUSPENDED}:
                raise
            return
        self.operations.append(Operation(kind=kind, on=(on,), start=start, end=time.monotonic_ns()))


class Play(Struct, kw_only=True):
    """One seed's callers, and what they share."""

    world: World
    seed: int
    shaky: str
    """The partner that is suspended now and then."""
    history: Recorder = field(default_factory=Recorder)
    partners: dict[str, list[Partner]] = field(default_factory=dict)
    """By partner id: the client at each worker."""
    consents: list[Consent] = field(default_factory=list)
    """What callers choose from."""
    once: list[Consent] = field(default_factory=list)

    @property
    def _consents(self) -> ConsentService:
        return self.world.services.consents

    async def add(self, client: Client, at_each: list[Partner]) -> None:
        assert client.partner_id is not None
        self.partners[client.partner_id] = at_each
        for number in range(CONSENTS):
            # A subject each: a second consent to the same would end the first.
            subject = await self.world.subject(identities.person(1, date(1990, 5, 1), number + self.seed * CONSENTS))
            self.consents.append(await self.world.consent(client, RECURRING, subject))
            self.once.append(await self.world.consent(client, ONCE, subject))

    async def run(self) -> None:
        callers = (self.caller(Random(f"{self.seed}-{number}"), number) for number in range(CALLERS))  # noqa: S311
        await asyncio.gather(*callers, self.racer())

    async def racer(self) -> None:
        """Uses the consents that carry one check at both workers at the same moment."""
        for consent in self.once:
            self.consents.append(consent)
            await self._at_once(consent, [])

    async def caller(self, rng: Random, number: int) -> None:
        answered: dict[str, list[str]] = {}
        for turn in range(TURNS):
            consent = rng.choice(self.consents)
            at = rng.choice(self.partners[consent.partner_id])
            known = answered.setdefault(consent.id, [])
            draw = rng.random()
            if draw < 0.01 and not consent.once:
                await self.history.changed(Kind.WITHDRAW, consent.id, self._withdraw(at, consent))
                await self._at_once(consent, known)
            elif draw < 0.02 and not consent.once:
                subject_id = consent.subject_id or ""
                await self.history.changed(Kind.PAUSE, consent.id, self._consents.pause(consent.id, subject_id))
                await self._at_once(consent, known)
                await self.history.changed(Kind.RESUME, consent.id, self._consents.resume(consent.id, subject_id))
            elif draw < 0.04 and consent.partner_id == self.shaky:
                await self.history.changed(Kind.SUSPEND, self.shaky, self._suspend(self.shaky))
                await self._at_once(consent, known)
                await self.history.changed(Kind.REINSTATE, self.shaky, self._reinstate(self.shaky))
            elif draw < 0.2 and known:
                await self.history.asked(consent, at.again(rng.choice(known)))
            else:
                key = f"{self.seed}-{number}-{turn}" if draw < 0.6 else None
                first = time.monotonic_ns()
                for _ in range(2 if draw < 0.3 else 1):  # with a key twice: the same refusal is given again as well
                    result = await self.history.asked(consent, self._check(at, consent, turn, key), first)
                    known += [result] if result.startswith("chk_") else []

    async def _at_once(self, consent: Consent, known: list[str]) -> None:
        """Whatever just returned must hold now, at every worker."""
        partners = self.partners[consent.partner_id]
        checks = [self._check(at, consent, -1) for at in partners for _ in range(2)]
        replays = [at.again(known[-1]) for at in partners if known]
        await asyncio.gather(*(self.history.asked(consent, call) for call in checks + replays))

    async def _check(self, at: Partner, consent: Consent, turn: int, key: str | None = None) -> httpx.Response:
        return await at.check(consent.id, consent.scenario_id, f"CASE-{turn}", key)

    async def _suspend(self, partner_id: str) -> None:
        async with self.world.services.database.transaction() as tx:
            await self.world.services.partners.suspend_partner(tx, partner_id)

    async def _reinstate(self, partner_id: str) -> None:
        async with self.world.services.database.transaction() as tx:
            await self.world.services.partners.resume_partner(tx, partner_id)

    async def _withdraw(self, at: Partner, consent: Consent) -> None:
        response = await at.withdraw(consent.id)
        if response.status_code != 200:
            raise XinyiError(Code(response.json()["code"]))


@contextmanager
def workers(folder: Path, pair: Pair) -> Iterator[list[ServerProcess]]:
    """Two on PostgreSQL and Redis, else the only one there can be."""
    with ExitStack() as stack:
        yield [stack.enter_context(worker(folder, pair)) for _ in range(2 if pair.name == "servers" else 1)]


async def test_whatever_is_withdrawn_paused_or_suspended_is_answered_no_more(
    tmp_path: Path, pair: Pair, tell: Callable[[str], None]
) -> None:
    kinds: Counter[str] = Counter()
    async with new_world(tmp_path, pair, ManualClock(datetime.now(UTC))) as world:
        steady, shaky = [await world.client(RECURRING, ONCE, kind="library") for _ in range(2)]
        with workers(tmp_path, pair) as servers:
            keys = world.private_keys
            async with (
                calling(steady, keys[steady.id], *servers) as of_steady,
                calling(shaky, keys[shaky.id], *servers) as of_shaky,
            ):
                assert shaky.partner_id is not None
                for seed in range(SEEDS):
                    play = Play(world=world, seed=seed, shaky=shaky.partner_id)
                    await play.add(steady, of_steady)
                    await play.add(shaky, of_shaky)
                    await play.run()
                    once = [consent.id for consent in play.once]
                    history = play.history.operations
                    assert violations(history, once=once) == [], f"seed {seed}"
                    assert {operation.on[0] for operation in history if operation.answered} >= set(once)
                    kinds += Counter(_told(operation) for operation in history)

    assert kinds.total() >= SEEDS * CALLERS * TURNS
    assert all(kinds[told] for told in EVERY_KIND), kinds
    counted = ", ".join(f"{told} {number}" for told, number in kinds.most_common())
    tell(f"linearizable, {pair.name}: {kinds.total()} operations of {SEEDS} seeds explained: {counted}")


def _told(operation: Operation) -> str:
    if operation.kind is not Kind.ASK:
        return operation.kind
    return "answered" if operation.answered else operation.result
