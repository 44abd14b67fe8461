"""Under a valid consent nothing tells why something isn't evidenced: not the status, the shape, the size, or the time.

Time is taken where the records are looked at, around the transaction that answers one check: what lies before and after
it (token, proof, the sending of equal bytes) knows no record.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import date
from typing import Any, Final

import pytest

from tests.support.pairs import Pair
from tests.support.rounds import Rounds
from tests.support.world import Subject, World, ask, new_world
from xinyi.checks.model import Answered
from xinyi.consents.model import Consent
from xinyi.partners.model import Client
from xinyi.sandbox import identities

SCENARIO: Final = "bike-deposit"
ROUNDS: Final = 1000
SHARE: Final = 0.05
FLOOR: Final = 0.002
"""Seconds. The medians may differ by this, or by :data:`SHARE`, whichever is more."""
MANY: Final = 300

Prepare = Callable[[World, Subject], Awaitable[None]]


async def absent(world: World, subject: Subject) -> None:
    """Nobody ever sent anything."""


async def of_other_types(world: World, subject: Subject) -> None:
    await world.record(subject, "LICENCE", number="1", name="n", kind="general", decided_on="2026-01-01", authority="a")


async def below(world: World, subject: Subject) -> None:
    await world.record(subject, "SOCINS_PAID", months=1, as_of="2026-10-31")


async def stale(world: World, subject: Subject) -> None:
    await world.record(subject, "SOCINS_PAID", days_ago=2000, months=12, as_of="2021-01-31")


async def withheld(world: World, subject: Subject) -> None:
    await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    async with world.services.database.transaction() as tx:
        await world.services.records.withhold(tx, subject.id, SCENARIO, "SOCINS_PAID")


async def disputed(world: World, subject: Subject) -> None:
    record_id = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    async with world.services.database.transaction() as tx:
        await world.services.disputes.open(tx, subject.id, record_id)


async def suppressed(world: World, subject: Subject) -> None:
    record_id = await world.record(subject, "HONOUR", title="t", level="municipal", date="2026-01-01")
    async with world.services.database.transaction() as tx:
        await world.services.records.suppress(tx, subject.id, record_id)


async def many_insufficient(world: World, subject: Subject) -> None:
    for number in range(MANY):
        await world.record(subject, "SOCINS_PAID", days_ago=1 + number, months=1, as_of="2025-10-31")


KINDS: Final[tuple[Prepare, ...]] = (
    absent, of_other_types, below, stale, withheld, disputed, suppressed, many_insufficient,
)  # fmt: skip


class Cast:
    """One subject of each kind, with a consent to the same client."""

    def __init__(self, world: World, client: Client, consents: dict[str, Consent]) -> None:
        self.world = world
        self.client = client
        self.consents = consents

    async def answer(self, kind: str) -> Any:
        result = await self.world.check(ask(self.client, self.consents[kind]))
        assert isinstance(result, Answered), result
        return result


@pytest.fixture(scope="module")
async def cast(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncGenerator[Cast]:
    async with new_world(tmp_path_factory.mktemp("quiet"), pair) as world:
        client = await world.client(SCENARIO, kind="bike-share")
        consents = {}
        for number, prepare in enumerate(KINDS, 10):
            subject = await world.subject(identities.person(1, date(1990, 5, 1), number))
            await prepare(world, subject)
            consents[prepare.__name__] = await world.consent(client, SCENARIO, subject)
        yield Cast(world, client, consents)


def shape(body: bytes) -> str:
    """An answer without what is random or a hash: the ids, the pairwise subject, the salts and the receipt."""
    text = re.sub(r'"(chk|psn|cns)_[^"]+"', '"id"', body.decode())
    return re.sub(r'"receipt":"[^"]+"', '"receipt":""', text)


async def test_they_all_look_the_same(cast: Cast):
    answers = {kind.__name__: (await cast.answer(kind.__name__)).body for kind in KINDS}
    assert b'"outcome":"not_evidenced"' in answers["absent"]
    assert {shape(body) for body in answers.values()} == {shape(answers["absent"])}


async def test_they_take_the_same_time(cast: Cast, tell: Callable[[str], None], pair: Pair):
    rounds = Rounds(kind.__name__ for kind in KINDS)
    for _ in range(ROUNDS):
        for kind in rounds.next():
            await rounds.timed(kind, cast.answer(kind))
    medians = rounds.medians()
    apart = {kind: abs(each - medians["absent"]) for kind, each in medians.items()}
    told = ", ".join(f"{kind.replace('_', ' ')} {each * 1e3:.2f}" for kind, each in medians.items())
    tell(f"not evidenced, {pair.name}, median ms of {ROUNDS}: {told}")
    assert max(apart.values()) <= max(FLOOR, SHARE * medians["absent"]), told
