"""Tables that a terminal shows whole, and that a pipe can be searched in: nothing is cut off or read as markup."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .words import HEADINGS, heading

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

    On a terminal the English of a heading stands below its Chinese, which takes less room, and cells fold where there
    is too little; elsewhere each row is one line. ``err`` is for what is no result.
    """
    console = Console(stderr=err)
    table = Table(box=None, header_style="bold", pad_edge=False, title=title or None, title_justify="left")
    for column in columns:
        words = f"{HEADINGS[column]}\n{column}" if console.is_terminal else heading(column)
        table.add_column(words, overflow="fold", justify="right" if column in numeric else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    Console(stderr=err, width=None if console.is_terminal else _UNBOUNDED).print(table)
