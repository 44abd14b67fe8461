"""Days on the command line: as people in China write them."""

from datetime import date, datetime, timedelta

import click

from ..usage.model import beginning
from .words import both


class Day(click.ParamType[date]):
    """A day such as 2026-11-24."""

    name = "day"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(both("日期有误", f"{value} is no day such as 2026-11-24"), param, ctx)


def span(first: date | None, last: date | None) -> tuple[datetime | None, datetime | None]:
    """The moments from which on and before which something lies that happened on these days, ``last`` included."""
    since = None if first is None else beginning(first)
    until = None if last is None else beginning(last + timedelta(days=1))
    return since, until
