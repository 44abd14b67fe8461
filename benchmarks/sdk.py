"""``make bench-sdk``: what a call with the SDK costs beside the same call written by hand, and what its import costs.

Both ask a server of their own process that answers a check at once. The hand-written call does what the platform asks
of it and no more: a fresh DPoP proof, an idempotency key, a JSON body, one httpx call, and the answer's JSON read. It
keeps no receipt, tries nothing again, learns no clock and renews no token.
"""

import asyncio
import statistics
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

import click
import httpx
import msgspec
from joserfc import jws
from joserfc.jwk import ECKey
from rich.console import Console
from rich.table import Table

from xinyi_sdk import AsyncXinyi, Xinyi
from xinyi_sdk.testing import FakeXinyi

CALL_TARGET: Final = 1.3
"""The cost of a call with the SDK, in hand-written calls."""
IMPORT_TARGET: Final = 0.150
"""Seconds."""
SCENARIO: Final = "microloan-prescreen"
REFERENCE: Final = "LOAN-2026-000123"


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Turns of each.")
@click.option("--calls", default=300, show_default=True, help="Calls of each turn.")
def main(rounds: int, calls: int) -> None:
    """Measure the SDK beside a hand-written httpx call."""
    console = Console(width=120)
    with _answering(_bodies()) as url:
        by_hand, with_sdk = _by_hand(url), _with_sdk(url)
        blocking = _measure(by_hand, with_sdk, rounds, calls)
        awaiting = asyncio.run(_measure_awaiting(url, rounds, calls))
    imported = min(_import_seconds() for _ in range(rounds))
    table = Table("", "by hand, µs", "SDK, µs", "ratio", "target")
    for name, (bare, sdk) in (("Xinyi", blocking), ("AsyncXinyi", awaiting)):
        table.add_row(name, f"{bare * 1e6:.0f}", f"{sdk * 1e6:.0f}", f"{sdk / bare:.2f}", f"≤ {CALL_TARGET}")
    console.print("processor time of one check, median of the turns")
    console.print(table)
    console.print(f"from xinyi_sdk import Xinyi: {imported * 1000:.0f} ms (≤ {IMPORT_TARGET * 1000:.0f} ms)")
    missed = max(sdk / bare for bare, sdk in (blocking, awaiting)) > CALL_TARGET or imported > IMPORT_TARGET
    sys.exit(1 if missed else 0)


def _bodies() -> bytes:
    """A check's answer with a receipt, as the platform gives it, and the keys that it verifies with; one a line."""
    fake = FakeXinyi()
    consent = fake.consent(SCENARIO)
    seen: list[bytes] = []
    with fake.client(on_event=lambda event: seen.append(getattr(event, "body", b""))) as client:
        client.checks.create(scenario=SCENARIO, consent_id=consent.id, reference=REFERENCE)
    return next(body for body in seen if b'"receipt"' in body) + b"\n" + msgspec.json.encode(fake.log.jwks())


Call = Callable[[], Any]


def _by_hand(url: str) -> Call:
    http = httpx.Client(timeout=10)
    prepared = _prepared(url)

    def call() -> Any:
        response = http.post(f"{url}/v1/checks", **prepared())
        response.raise_for_status()
        return msgspec.json.decode(response.content)

    return call


def _prepared(url: str) -> Callable[[], dict[str, Any]]:
    """The headers and the body of one check, as a careful programmer writes them."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    public = key.as_dict(private=False)
    token = "t" * 700
    checks = f"{url}/v1/checks"
    ath = _base64url(sha256(token.encode()).digest())

    def prepared() -> dict[str, Any]:
        claims = {
            "jti": str(uuid.uuid4()),
            "htm": "POST",
            "htu": checks,
            "iat": int(time.time()),
            "ath": ath,
        }
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": public}
        proof = jws.serialize_compact(header, msgspec.json.encode(claims), key, algorithms=["ES256"])
        headers = {
            "authorization": f"DPoP {token}",
            "dpop": proof,
            "idempotency-key": str(uuid.uuid4()),
            "content-type": "application/json",
        }
        body = {"scenario": SCENARIO, "consent_id": "cns_1", "reference": REFERENCE}
        return {"headers": headers, "content": msgspec.json.encode(body)}

    return prepared


def _with_sdk(url: str) -> Call:
    client = Xinyi(base_url=url, client_id="c", private_key=ECKey.generate_key("P-256").as_pem(private=True))
    return lambda: client.checks.create(scenario=SCENARIO, consent_id="cns_1", reference=REFERENCE)


def _measure(by_hand: Call, with_sdk: Call, rounds: int, calls: int) -> tuple[float, float]:
    """Seconds of processor time for one call of each, taking turns."""
    spent: dict[Call, list[float]] = {by_hand: [], with_sdk: []}
    for call in spent:
        call()
    for _ in range(rounds):
        for call, times in spent.items():
            begun = time.process_time()
            for _ in range(calls):
                call()
            times.append((time.process_time() - begun) / calls)
    return statistics.median(spent[by_hand]), statistics.median(spent[with_sdk])


async def _measure_awaiting(url: str, rounds: int, calls: int) -> tuple[float, float]:
    prepared = _prepared(url)
    pem = ECKey.generate_key("P-256").as_pem(private=True)
    spent: tuple[list[float], list[float]] = ([], [])
    async with (
        httpx.AsyncClient(timeout=10) as http,
        AsyncXinyi(base_url=url, client_id="c", private_key=pem) as client,
    ):

        async def by_hand() -> Any:
            response = await http.post(f"{url}/v1/checks", **prepared())
            return msgspec.json.decode(response.content)

        async def with_sdk() -> Any:
            return await client.checks.create(scenario=SCENARIO, consent_id="cns_1", reference=REFERENCE)

        for call in (by_hand, with_sdk):
            await call()
        for _ in range(rounds):
            for call, times in zip((by_hand, with_sdk), spent, strict=True):
                begun = time.process_time()
                for _ in range(calls):
                    await call()
                times.append((time.process_time() - begun) / calls)
    return statistics.median(spent[0]), statistics.median(spent[1])


@contextmanager
def _answering(bodies: bytes) -> Iterator[str]:
    """A server in a process of its own; gives its address."""
    command = [sys.executable, "-m", "benchmarks.sdk_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin
        assert server.stdout
        server.stdin.write(bodies)
        server.stdin.close()
        try:
            yield server.stdout.readline().decode().strip()
        finally:
            server.terminate()


def _import_seconds() -> float:
    code = "import time; b = time.process_time(); from xinyi_sdk import Xinyi; print(time.process_time() - b)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


if __name__ == "__main__":
    main()
