"""``make bench-growth``: what a check costs at ten thousand, a million and ten million records, and as many entries.

``python -m benchmarks.growth`` builds an installation of each size, on both pairs, and measures all sizes of a pair in
turns. The cost is processor time, of the server and of PostgreSQL: what else the machine does isn't in it.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from xinyi.ledger.model import NewEntry
from xinyi.wiring import Services

from . import chart, log, requests
from .__main__ import ROOT
from .bulk import Bulk
from .contenders import Contender
from .databases import Databases, databases
from .installation import Installation
from .processes import Server, prepare, running

SIZES: Final = (10_000, 1_000_000, 10_000_000)
PAIRS: Final = ("SQLite", "PostgreSQL")
RESULTS: Final = ROOT / "benchmarks" / "growth.json"
CHART: Final = ROOT / "docs" / "images" / "growth.svg"
CHECKS: Final = 6_000
APPENDS: Final = 100
BATCH: Final = 64
_FLAT: Final = 0.20
_FIRST_SECOND: Final = 2.5


class Growth(Struct):
    """What it costs at one size, on one pair: medians, in microseconds."""

    pair: str
    records: int
    entries: int
    check_us: float
    """Processor time of the server and of PostgreSQL for one check, as much as goes through."""
    append_us: float
    """Time until a batch of 64 entries is appended to the ledger and committed, divided by 64."""


@click.command()
@click.option("--sizes", default=",".join(map(str, SIZES)), show_default=True, help="Records, and ledger entries.")
@click.option("--pair", "pairs", multiple=True, default=PAIRS, show_default=True, help="SQLite, PostgreSQL.")
@click.option("--rounds", default=5, show_default=True, help="Turns of each size.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Write growth.json and the chart.")
def main(sizes: str, pairs: tuple[str, ...], rounds: int, keep: bool) -> None:
    """Measure what a check costs as records and ledger grow."""
    console = Console(width=120)
    prepare()
    wanted, results = [int(size) for size in sizes.split(",")], list[Growth]()
    for pair in pairs:
        with TemporaryDirectory(prefix="xinyi-growth-") as name, ExitStack() as stack:
            folder = Path(name)
            outside = stack.enter_context(databases(folder)) if pair == "PostgreSQL" else None
            results += _pair(pair, wanted, rounds, folder, outside, console)
    _show(console, results)
    if keep and pairs == PAIRS:
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
        _draw(results, wanted)


def _pair(
    pair: str, sizes: Sequence[int], rounds: int, folder: Path, outside: Databases | None, console: Console
) -> list[Growth]:
    sites = []
    for size in sizes:
        started = time.perf_counter()
        urls = {} if outside is None else outside.urls(f"growth_{size}")
        site = Installation(folder / str(size), **urls)
        site.make(size)
        asyncio.run(_lengthen(site, size))
        console.log(f"{pair}: {size:,} records and entries in {time.perf_counter() - started:.0f} s")
        sites.append(site)
    checks = _checks(sites, sizes, rounds, folder, outside, console)
    appends = asyncio.run(_appends(sites, sizes))
    return [Growth(pair, size, size, round(checks[size], 1), round(appends[size], 1)) for size in sizes]


async def _lengthen(site: Installation, size: int) -> None:
    services, bulk = Services.build(site.settings), Bulk(site.settings.effective_database_url)
    async with services.opened():
        await log.lengthen(services, bulk, size)
    await bulk.settle()


def _checks(
    sites: Sequence[Installation],
    sizes: Sequence[int],
    rounds: int,
    folder: Path,
    outside: Databases | None,
    console: Console,
) -> Mapping[int, float]:
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    with ExitStack() as stack:
        contenders = []
        for site in sites:
            server = stack.enter_context(running(("xinyi", "serve"), site.environment, folder))
            contenders.append(_contender(site, server))
        time.sleep(_FIRST_SECOND)
        for number in range(rounds + 1):
            for size, contender in zip(sizes, contenders, strict=True):
                before = 0.0 if outside is None else outside.computed
                run, cost = contender.as_much_as_goes(CHECKS)
                beside = 0.0 if outside is None else (outside.computed - before) / CHECKS
                console.log(f"{size:,}: {run.rate:,.0f} checks a second, {1e6 * (cost + beside):.0f} µs each")
                if number:  # the first turn warms up
                    costs[size].append(1e6 * (cost + beside))
    return {size: median(each) for size, each in costs.items()}


def _contender(site: Installation, server: Server) -> Contender:
    return Contender("check", server, lambda count: requests.checks(site, server.port, count))


async def _appends(sites: Sequence[Installation], sizes: Sequence[int]) -> Mapping[int, float]:
    """Batches appended by this very process, which isn't on the server's core."""
    times: dict[int, list[float]] = {size: [] for size in sizes}
    opened = [Services.build(site.settings) for site in sites]
    for _ in range(APPENDS):
        for size, services in zip(sizes, opened, strict=True):
            entries = [NewEntry("check", "chk_bench", secrets.token_bytes(600)) for _ in range(BATCH)]
            started = time.perf_counter()
            async with services.database.transaction() as tx:
                await services.ledger.append(tx, entries, services.clock.now())
            times[size].append(1e6 * (time.perf_counter() - started) / BATCH)
    for services in opened:
        await services.database.close()
    return {size: median(each) for size, each in times.items()}


def _show(console: Console, results: Sequence[Growth]) -> None:
    table = Table(title="what one costs, in µs of processor time (check) and of time (append)", title_justify="left")
    for name in ("pair", "records and entries", "a check", "÷ smallest", "an append", "÷ smallest"):
        table.add_column(name, justify="left" if name == "pair" else "right")
    for growth in results:
        smallest = next(each for each in results if each.pair == growth.pair)
        table.add_row(
            growth.pair,
            f"{growth.records:,}",
            f"{growth.check_us:.0f}",
            f"{growth.check_us / smallest.check_us:.2f}",
            f"{growth.append_us:.1f}",
            f"{growth.append_us / smallest.append_us:.2f}",
        )
    console.print(table)
    most = max(g.check_us / next(e for e in results if e.pair == g.pair).check_us for g in results)
    console.print(f"flat within {_FLAT:.0%}: {'met' if most <= 1 + _FLAT else 'not met'} ({most - 1:+.0%} at most)")


def _draw(results: Sequence[Growth], sizes: Sequence[int]) -> None:
    series = {pair: [growth.check_us for growth in results if growth.pair == pair] for pair in ("SQLite", "PostgreSQL")}
    labels = [f"{size:,} records" for size in sizes]
    chart.lines(CHART, "Processor time of one check as records and ledger grow", labels, series, "µs")


if __name__ == "__main__":
    main()
