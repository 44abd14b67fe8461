"""What was measured, as a table for people and as ``results.json`` for programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from .summary import Measured, Row

ALONE: Final = "generator alone"
EMPTY: Final = "empty"
MEANINGS: Final = {
    ALONE: "the load generator against a bare socket",
    EMPTY: "an empty Litestar handler",
    "floor": "the same, and one P-256 verification",
    "ordinary": "the same check, a session for each request (PostgreSQL + Redis)",
    "check_sqlite": "xinyi on SQLite and memory, everything on",
    "check_postgres": "xinyi on PostgreSQL and Redis, everything on",
    "token": "client_credentials: private_key_jwt and a DPoP proof",
    "introspect": "a token of one's own: private_key_jwt",
    "batch": "items of a batch of checks",
    "import": "rows of a file of records",
}


class Target(Struct, frozen=True):
    """What was asked for, and what came out."""

    what: str
    wanted: float
    measured: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.measured <= self.wanted if self.at_most else self.measured >= self.wanted


def write(results: Mapping[str, Measured], file: Path) -> list[Row]:
    """Writes the rows, without the generator's own."""
    empty = results[EMPTY]
    rows = [measured.row(empty) for name, measured in results.items() if name != ALONE]
    file.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    return rows


def show(console: Console, results: Mapping[str, Measured], targets: Sequence[Target]) -> None:
    """Prints both tables."""
    empty = results[EMPTY]
    table = Table(title="medians, one server core; latencies at half load", title_justify="left", box=None)
    table.add_column("")
    for name in ("a second", "÷ empty", "µs of core", "÷ empty", "p50 ms", "p99 ms", "generator busy"):
        table.add_column(name, justify="right")
    table.add_column("", style="dim")
    for name, measured in results.items():
        row = measured.row(empty)
        table.add_row(
            name,
            f"{row.requests_per_s:,.0f}",
            f"{row.ratio_to_empty:.3f}",
            f"{1e6 * measured.cost:.0f}" if measured.costs else "",
            f"{empty.cost / measured.cost:.3f}" if measured.costs else "",
            "" if row.p50_ms is None else f"{row.p50_ms:.1f}",
            "" if row.p99_ms is None else f"{row.p99_ms:.1f}",
            f"{max(measured.busy):.0%}" if measured.busy else "",
            MEANINGS.get(name, ""),
        )
    console.print(table)
    asked = Table(title="targets", title_justify="left", box=None)
    for name in ("", "target", "measured", ""):
        asked.add_column(name, justify="right" if name else "left")
    for target in targets:
        sign = "≤" if target.at_most else "≥"
        asked.add_row(
            target.what, f"{sign} {target.wanted:,g}", f"{target.measured:,.4g}", "met" if target.met else "not met"
        )
    console.print()
    console.print(asked)
