"""``make bench``: every contender in one run, the table of ratios, ``results.json`` and the chart."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import click
from rich.console import Console

from . import batch, chart, imports, report
from .contenders import Contenders, measure, standing
from .databases import databases
from .processes import SERVER_CORE, prepare
from .report import Target
from .summary import Measured

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results.json"
CHART: Final = ROOT / "docs" / "images" / "bench.svg"
_UNDISTURBED: Final = 0.9
"""The share of its core that an undisturbed server gets when as much as goes through."""
_FIRST_SECOND: Final = 2.5
"""Proofs of a server's first second may be refused: it can't know whether it has seen them."""


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Turns of each contender.")
@click.option("--seconds", default=4.0, show_default=True, help="About how long each turn lasts.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Write results.json and the chart.")
def main(rounds: int, seconds: float, keep: bool) -> None:
    """Measure xinyi against an empty handler and against the ordinary way to write it."""
    console = Console(width=150)
    prepare()
    where = "any core" if SERVER_CORE is None else f"core {SERVER_CORE}, everything else on others"
    console.print(f"servers on {where}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    with (
        TemporaryDirectory(prefix="xinyi-bench-") as name,
        databases(Path(name)) as outside,
        standing(Path(name), outside) as contenders,
    ):
        time.sleep(_FIRST_SECOND)
        results = measure(contenders.each, rounds, seconds, console.log)
        results |= _batches(contenders, rounds, console)
        resident = {each.name: each.server.resident_mib for each in contenders.each}
        start = max(contenders.server(each).started_in for each in ("check_sqlite", "check_postgres"))
        results["import"], bare = _imports(contenders, rounds, console)
    targets = _targets(results, bare, start)
    report.show(console, results, targets)
    told = ", ".join(f"{name} {resident[name]:.0f} MiB" for name in ("empty", "check_sqlite", "check_postgres"))
    console.print(f"\nresident after the run: {told}; load {os.getloadavg()[0]:.1f} at the end")
    if results["empty"].rate * results["empty"].cost < _UNDISTURBED:
        console.print("[bold]others used the server's core: of both ratios, that of processor time holds[/bold]")
    if keep:
        rows = report.write(results, RESULTS)
        values = {row.name: row.requests_per_s for row in rows}
        notes = {row.name: f"{row.requests_per_s:,.0f}/s, {row.ratio_to_empty:.2f} of empty" for row in rows}
        marked = [name for name in values if name not in {"empty", "floor", "ordinary"}]
        chart.bars(CHART, "Requests a second on one server core", values, notes, marked)


def _batches(contenders: Contenders, rounds: int, console: Console) -> Mapping[str, Measured]:
    result = Measured("batch")
    for number in range(rounds):
        console.log(f"round {number + 1} of {rounds}: batch")
        rate, cost = batch.run(contenders.on_servers, contenders.server("check_postgres"))
        result.rates.append(rate)
        result.costs.append(cost)
    return {"batch": result}


def _imports(contenders: Contenders, rounds: int, console: Console) -> tuple[Measured, float]:
    """The import, and the rows per second of a bare COPY."""
    result, bare = Measured("import"), []
    for number in range(rounds):
        console.log(f"round {number + 1} of {rounds}: import")
        rates = imports.run(contenders.on_servers, number)
        result.rates.append(rates.imported)
        bare.append(rates.bare)
    return result, median(bare)


def _targets(results: Mapping[str, Measured], bare: float, start: float) -> list[Target]:
    empty = results["empty"].rate
    rate = {name: measured.rate for name, measured in results.items()}
    tail = {name: results[name].row(results["empty"]).p99_ms or 0.0 for name in ("check_sqlite", "check_postgres")}
    return [
        Target("check on SQLite and memory ÷ empty handler", 0.30, rate["check_sqlite"] / empty),
        Target("check on PostgreSQL and Redis ÷ empty handler", 0.28, rate["check_postgres"] / empty),
        Target("check on PostgreSQL and Redis ÷ ordinary", 3.5, rate["check_postgres"] / rate["ordinary"]),
        Target("p99 at half load, SQLite and memory, ms", 15, tail["check_sqlite"], at_most=True),
        Target("p99 at half load, PostgreSQL and Redis, ms", 15, tail["check_postgres"], at_most=True),
        Target("batch, checks a second", 12_000, rate["batch"]),
        Target("import ÷ bare COPY", 0.25, rate["import"] / bare),
        Target("token ÷ empty handler", 0.06, rate["token"] / empty),
        Target("start-up, s", 1.5, start, at_most=True),
    ]


if __name__ == "__main__":
    main()
