"""A token key that has leaked is revoked: no worker takes what it signed, on this host or on another.

The command works on the installation that the workers run on. On PostgreSQL and Redis two of them share its key folder,
and a third one, on another host, still has the key file as it was.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey
from joserfc.jws import extract_compact
from joserfc.jwt import decode
from msgspec.structs import replace

from tests.support.clock import ManualClock
from tests.support.oauth import ISSUER, PartnerProgram, Platform, browser_of, running_platform, signed
from tests.support.pairs import Pair
from xinyi.app import create_app
from xinyi.cli import main

KEY_FILE = Path("keys") / "token.jwks.json"


class Installation:
    """The workers of one installation, and a partner of theirs."""

    def __init__(self, first: Platform, workers: list[httpx.AsyncClient], bank: PartnerProgram) -> None:
        self.first = first
        self.workers = workers
        self.bank = bank

    async def answers(self, token: str) -> list[tuple[int, str | None]]:
        """What each worker says to the token."""
        found = []
        for worker in self.workers:
            proof = self.bank.proof("GET", "/v1/partner", token=token)
            response = await worker.get("/v1/partner", headers={"authorization": f"DPoP {token}", "dpop": proof})
            found.append((response.status_code, response.json().get("code")))
        return found

    async def published(self) -> list[list[str]]:
        """The kids that each worker publishes."""
        return [[key["kid"] for key in (await each.get("/oauth2/jwks")).json()["keys"]] for each in self.workers]


@pytest.fixture
async def installation(tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Installation]:
    clock, folder, elsewhere = ManualClock(datetime.now(UTC)), tmp_path / "here", tmp_path / "elsewhere"
    for name, value in pair.environ(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_platform(folder, pair, clock))
        workers = [first.http]
        if pair.name == "servers":
            second = await stack.enter_async_context(running_platform(folder, pair, clock))
            shutil.copytree(folder, elsewhere)
            other = create_app(replace(pair.settings(folder, issuer=ISSUER), data_dir=elsewhere), clock)
            await stack.enter_async_context(other.lifespan())
            workers += [browser_of(second.app), browser_of(other)]
        yield Installation(first, workers, await first.partner("personal-loan"))


def bring_to_other_hosts(folder: Path) -> None:
    """As the how-to says."""
    for path in folder.glob(f"elsewhere/{KEY_FILE}"):
        shutil.copy2(folder / "here" / KEY_FILE, path)


async def xinyi(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, words)


async def test_nothing_that_a_revoked_key_signed_is_taken_once_the_command_returns(
    installation: Installation, tmp_path: Path
):
    bank, everywhere = installation.bank, len(installation.workers)
    token = await bank.token()
    assert await installation.answers(token) == [(200, None)] * everywhere  # held as verified by each
    [leaked] = json.loads((tmp_path / "here" / KEY_FILE).read_bytes())["keys"]
    key = ECKey.import_key({name: leaked[name] for name in ("kty", "crv", "x", "y", "d")})
    kid = key.thumbprint()

    done = await xinyi("keys", "revoke", kid, "--reason", "found in a log")
    assert done.exit_code == 0, done.output
    assert await installation.answers(token) == [(401, "invalid_token")] * everywhere
    claims = {**decode(token, key, algorithms=["ES256"]).claims, "jti": "made-by-the-thief"}
    forged = signed({"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims, key)
    assert await installation.answers(forged) == [(401, "invalid_token")] * everywhere
    told = await bank.post("/oauth2/introspect", {"token": token})
    assert told.json() == {"active": False}

    fresh = await bank.token()
    signer = str(extract_compact(fresh.encode()).headers()["kid"])
    assert kid in done.output
    assert signer in done.output
    here = installation.workers[:2]
    assert (await installation.answers(fresh))[: len(here)] == [(200, None)] * len(here)
    assert (await installation.published())[: len(here)] == [[signer]] * len(here)

    bring_to_other_hosts(tmp_path)
    assert await installation.answers(fresh) == [(200, None)] * everywhere
    assert await installation.published() == [[signer]] * everywhere
    [act] = json.loads((await xinyi("audit", "acts", "--about", kid, "--json")).stdout)
    assert (act["act"], act["reason"]) == ("token_key.revoked", "found in a log")


async def test_what_is_no_token_key_stays_as_it_is_and_the_reason_is_said(installation: Installation, tmp_path: Path):
    folder = tmp_path / "here" / "keys"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    listed = json.loads((await xinyi("keys", "list", "--json")).stdout)
    [ledger] = [key["kid"] for key in listed if key["use"] == "ledger"]
    refused = await xinyi("keys", "revoke", ledger, "--reason", "leaked")
    assert (refused.exit_code, "receipts that it signed must verify" in refused.output) == (1, True)
    unknown = await xinyi("keys", "revoke", "nobodys", "--reason", "leaked")
    assert (unknown.exit_code, "no key of the tokens is named nobodys" in unknown.output) == (1, True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert json.loads((await xinyi("audit", "acts", "--json")).stdout) == []
    assert await installation.answers(await installation.bank.token()) == [(200, None)] * len(installation.workers)
