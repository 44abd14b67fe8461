"""Tables that a terminal shows whole, and that a pipe can be searched in: nothing is cut off or read as markup."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .words import heading

_UNBOUNDED = 10_000  # columns: off a terminal a line is as long as it is


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    numeric: Sequence[str] = (),
    title: str = "",
    err: bool = False,
) -> None:
    """Prints the rows under the headings of their columns; those in ``numeric`` are aligned to the right.

    On a terminal that is too narrow, cells fold; elsewhere each row is one line. ``err`` is for what is no result.
    """
    table = Table(box=None, header_style="bold", pad_edge=False, title=title or None, title_justify="left")
    for column in columns:
        table.add_column(heading(column), overflow="fold", justify="right" if column in numeric else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console = Console(stderr=err)
    Console(stderr=err, width=None if console.is_terminal else _UNBOUNDED).print(table)
