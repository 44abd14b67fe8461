"""Keys are rotated while partners work: no valid token is refused, and no receipt ever stops verifying.

In one process on a clock that the test moves; on PostgreSQL and Redis two workers take turns.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact
from joserfc.jwt import decode
from msgspec import Struct

from tests.support.clock import ManualClock
from tests.support.oauth import PartnerProgram, browser_of, running_platform
from tests.support.pairs import Pair
from tests.support.world import ask, new_world
from xinyi.checks.model import Answered
from xinyi.ledger.checkpoint import CheckpointKeys
from xinyi.ledger.receipt import read_receipt
from xinyi.oauth.access_token import LIFETIME
from xinyi.settings import Environment
from xinyi.storage.key_files import Purpose, rotate
from xinyi_sdk import verify_receipt

ROTATIONS = 5
AHEAD = timedelta(minutes=10)
STEP = timedelta(seconds=59)
JWKS_KEPT = timedelta(minutes=5)
"""How long others keep the JWK Set, as its ``Cache-Control`` lets them."""


class Held(Struct, frozen=True):
    """A token that a program holds."""

    program: PartnerProgram
    token: str
    until: float


class Load:
    """Programs that use every token as long as it lives, at whichever worker answers."""

    def __init__(self, programs: list[PartnerProgram], workers: list[httpx.AsyncClient], clock: ManualClock) -> None:
        self.programs = programs
        self.workers = workers
        self.clock = clock
        self.held: list[Held] = []
        self.calls = 0
        self.signers: set[str] = set()
        self._known: dict[str, Any] = {}
        self._fetched = float("-inf")

    async def round(self) -> None:
        """Everybody gets a token at one worker, and uses all that still live at the others, at once."""
        now = self.clock.now().timestamp()
        self.held = [held for held in self.held if held.until > now]
        fresh = await asyncio.gather(*(self._fresh(program) for program in self.programs))
        self.held.extend(fresh)
        await self._judge_elsewhere([held.token for held in fresh])
        await asyncio.gather(*(self._use(held, number) for number, held in enumerate(self.held)))

    async def _fresh(self, program: PartnerProgram) -> Held:
        issued = self.clock.now()
        return Held(program, await program.token(), (issued + LIFETIME).timestamp())

    async def _use(self, held: Held, number: int) -> None:
        program = held.program
        worker = self.workers[number % len(self.workers)]
        headers = {
            "authorization": f"DPoP {held.token}",
            "dpop": program.proof("GET", "/v1/partner", token=held.token),
        }
        response = await worker.get("/v1/partner", headers=headers)
        assert response.status_code == 200, response.text
        self.calls += 1

    async def _judge_elsewhere(self, tokens: list[str]) -> None:
        """Another server knows the signer of each from the set that it fetched up to five minutes ago."""
        now = self.clock.now().timestamp()
        if now - self._fetched >= JWKS_KEPT.total_seconds():
            self._known, self._fetched = (await self.workers[-1].get("/oauth2/jwks")).json(), now
        keys = KeySet.import_key_set(self._known)  # type: ignore[arg-type]  # plain JSON
        for token in tokens:
            assert decode(token, keys, algorithms=["ES256"]).header["typ"] == "at+jwt"
            self.signers.add(str(extract_compact(token.encode()).headers()["kid"]))


async def test_five_rotations_under_load_refuse_no_valid_token(tmp_path: Path, pair: Pair):
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_platform(tmp_path, pair, clock))
        workers = [first.http]
        if pair.name == "servers":
            second = await stack.enter_async_context(running_platform(tmp_path, pair, clock))
            workers.append(browser_of(second.app))
            clock.followers.pop()  # time passes once in the state that they share
        load = Load([await first.partner("personal-loan") for _ in range(2)], workers, clock)
        folder = first.service("settings").keys_dir
        for _ in range(ROTATIONS):
            made = rotate(folder, Purpose.TOKEN, Environment.SANDBOX, clock, AHEAD)
            begins = clock.now() + AHEAD
            while clock.now() < begins + STEP:
                await load.round()
                clock.advance(STEP)
            assert made.kid in load.signers
        assert len(load.signers) == ROTATIONS + 1
        published = (await workers[-1].get("/oauth2/jwks")).json()["keys"]
        assert len(published) == 2
        assert load.calls > ROTATIONS * 100


async def test_no_rotation_makes_a_receipt_unverifiable(tmp_path: Path, pair: Pair):
    clock = ManualClock()
    async with new_world(tmp_path, pair, clock) as world:
        s = world.services
        client, subject = await world.client("personal-loan"), await world.subject()
        answers = []
        for number in range(4):
            consent = await world.consent(client, "personal-loan", subject)
            answers.append(await world.check(ask(client, consent, reference=f"CASE-{number}")))
            rotate(s.settings.keys_dir, Purpose.LEDGER, Environment.SANDBOX, clock, AHEAD)
            clock.advance(timedelta(days=30))
            rotate(s.settings.keys_dir, Purpose.TOKEN, Environment.SANDBOX, clock, AHEAD)
        published = s.ledger.jwks()
        assert len(published["keys"]) == 5
        kids = []
        for answer in answers:
            assert isinstance(answer, Answered)
            receipt = msgspec.json.decode(answer.body)["receipt"]
            read_receipt(receipt, CheckpointKeys(published))
            verify_receipt(receipt, published)
            kids.append(extract_compact(receipt.rpartition("~")[2].encode()).headers()["kid"])
        assert kids == [key["kid"] for key in published["keys"][:4]]
        assert not {key["kid"] for key in published["keys"]} & s.keys.token.kids
        async with s.database.read() as tx:
            assert await s.ledger.latest_checkpoint(tx)
