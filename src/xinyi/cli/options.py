"""The options that many commands have, each said once."""

from collections.abc import Callable
from typing import Any, Final

import click

from .moments import Day

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
reason_option: Final = click.option("--reason", required=True, help="Why, for the audit.")
from_option: Final = click.option("--from", "first", type=Day(), help="Only from this day on, in China.")
to_option: Final = click.option("--to", "last", type=Day(), help="Only up to this day.")
name_zh_option: Final = click.option("--name-zh", help="Its name in Chinese, unless NAME is that.")
name_en_option: Final = click.option("--name-en", help="Its name in English, unless NAME is that.")


def limit_option(most: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """How many lines a list has: 100, and ``most`` when that is said."""
    return click.option("--limit", type=click.IntRange(1, most), default=100, show_default=True, help="The most lines.")
