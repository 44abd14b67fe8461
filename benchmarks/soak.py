"""``make bench-soak``: resident memory after a million checks, and over ten minutes at half load. Stops by itself."""

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
import msgspec
from msgspec import Struct
from rich.console import Console

from .__main__ import ROOT
from .contenders import CONSENTS, Contender
from .databases import databases
from .installation import Installation
from .population import RECORDS_EACH
from .processes import Server, prepare, running
from .requests import checks

RESULTS: Final = ROOT / "benchmarks" / "soak.json"
TURN: Final = 20_000
"""Requests that are signed together: proofs live for a minute."""
_HALF: Final = 2
_FIRST_SECOND: Final = 2.5
_MOST_MIB: Final = 200
_FLAT: Final = 0.05


class Soak(Struct):
    """Resident memory of one server, in MiB."""

    name: str
    checks: int
    at_the_start: float
    after_the_checks: float
    over_the_soak: list[float]
    """One reading after each turn."""


@click.command()
@click.option("--checks", "count", default=1_000_000, show_default=True, help="Checks before the soak.")
@click.option("--minutes", default=10.0, show_default=True, help="How long the soak lasts, at half load.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Write soak.json.")
def main(count: int, minutes: float, keep: bool) -> None:
    """See whether the server's memory stays where it is, first on SQLite and memory, then on PostgreSQL and Redis."""
    console = Console(width=120)
    prepare()
    with TemporaryDirectory(prefix="xinyi-soak-") as name, databases(Path(name)) as outside:
        pairs: Mapping[str, Mapping[str, str]] = {"check_sqlite": {}, "check_postgres": outside.urls("soak")}
        results = [_soak(each, urls, Path(name) / each, count, minutes, console) for each, urls in pairs.items()]
    for result in results:
        low, high = min(result.over_the_soak), max(result.over_the_soak)
        told = f"{result.name}: {result.at_the_start:.0f} MiB at the start, {result.after_the_checks:.0f} after "
        told += f"{result.checks:,} checks ({_word(result.after_the_checks <= _MOST_MIB)}: ≤ {_MOST_MIB}), "
        told += f"{low:.0f} to {high:.0f} over the soak ({_word(high <= low * (1 + _FLAT))}: flat within {_FLAT:.0%})"
        console.print(told)
    if keep:
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def _soak(name: str, urls: Mapping[str, str], folder: Path, count: int, minutes: float, console: Console) -> Soak:
    installation = Installation(folder, **urls)
    installation.make(CONSENTS * RECORDS_EACH)
    with running(("xinyi", "serve"), installation.environment, folder) as server:
        time.sleep(_FIRST_SECOND)
        contender = _contender(name, installation, server)
        soak, rate = Soak(name, 0, server.resident_mib, 0.0, []), 0.0
        while soak.checks < count:
            rate = contender.as_much_as_goes(min(TURN, count - soak.checks))[0].rate
            soak.checks += min(TURN, count - soak.checks)
            console.log(f"{name}: {soak.checks:,} checks, {rate:,.0f} a second, {server.resident_mib:.0f} MiB")
        soak.after_the_checks = server.resident_mib
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            contender.at(rate / _HALF, int(30 * rate / _HALF))
            soak.over_the_soak.append(round(server.resident_mib, 1))
            console.log(f"{name}: at half load, {server.resident_mib:.0f} MiB")
    return soak


def _contender(name: str, installation: Installation, server: Server) -> Contender:
    return Contender(name, server, lambda count: checks(installation, server.port, count))


def _word(met: bool) -> str:
    return "met" if met else "not met"


if __name__ == "__main__":
    main()
