"""By when a contested record is answered: working days, by the region of the record.

Both tables are data: ``dispute-deadlines.yaml`` and ``working-days.yaml`` in the scenarios' folder.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from ..catalogue.files import FileError, Problem, read
from ..catalogue.location import scenarios_dir
from ..kernel.clock import CHINA_TIME
from ..kernel.text import Text

_DAY: Final = timedelta(days=1)


class Days(Struct, frozen=True, forbid_unknown_fields=True):
    """Days off in a row, both ends included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("`last` is before `first`")

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1))


class Year(Struct, frozen=True, forbid_unknown_fields=True):
    """How one year's working days differ from Monday to Friday."""

    year: Annotated[int, Meta(ge=2000, le=2199)]
    source: Annotated[str, Meta(min_length=1, max_length=200)]
    """Who published it, and when."""
    holidays: tuple[Days, ...]
    worked: tuple[date, ...] = ()
    """Days of a weekend on which people work."""

    def __post_init__(self) -> None:
        days = [day for span in self.holidays for day in span] + [*self.worked]
        if any(day.year != self.year for day in days):
            raise ValueError("a day isn't of the year")
        if len(set(days)) != len(days):
            raise ValueError("a day stands there twice")


class WorkingDays(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The calendar of working days; in a year that it doesn't have, Monday to Friday."""

    years: tuple[Year, ...]

    def is_working(self, day: date) -> bool:
        """Whether people work on this day."""
        return day in self._worked or (day.weekday() < 5 and day not in self._off)

    def after(self, day: date, number: int) -> date:
        """The ``number``-th working day after ``day``, which itself doesn't count."""
        while number:
            day += _DAY
            number -= self.is_working(day)
        return day

    @cached_property
    def _off(self) -> frozenset[date]:
        return frozenset(day for year in self.years for span in year.holidays for day in span)

    @cached_property
    def _worked(self) -> frozenset[date]:
        return frozenset(day for year in self.years for day in year.worked)


class Deadline(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long an answer may take."""

    working_days: Annotated[int, Meta(ge=1, le=60)]
    basis: Text | None = None
    """The rule that says so, when somebody has read it there."""


class DeadlineTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The deadlines by region: a code of GB/T 2260, or the first digits of one."""

    default: Deadline
    regions: Mapping[Annotated[str, Meta(pattern="^[0-9]{2,6}$")], Deadline]

    def of(self, region: str) -> Deadline:
        """The deadline for a record of this region: the longest prefix counts."""
        found = (self.regions.get(region[:length]) for length in range(len(region), 1, -1))
        return next((deadline for deadline in found if deadline is not None), self.default)


class Deadlines:
    """When answers are due."""

    def __init__(self, table: DeadlineTable, calendar: WorkingDays) -> None:
        self._table = table
        self._calendar = calendar

    @classmethod
    def load(cls, folder: Path | None = None) -> "Deadlines":
        """Reads both files of ``folder`` (default: the set that comes with the product).

        Raises :class:`FileError` with every problem.
        """
        folder = folder or scenarios_dir()
        problems: list[Problem] = []
        try:
            table, _ = read(folder / "dispute-deadlines.yaml", DeadlineTable)
        except FileError as error:
            problems += error.problems
        try:
            calendar, _ = read(folder / "working-days.yaml", WorkingDays)
        except FileError as error:
            problems += error.problems
        if problems:
            raise FileError(sorted(problems))
        return cls(table, calendar)

    def due(self, region: str, at: datetime) -> datetime:
        """The end of the last day on which what is contested at the moment ``at`` may be answered. In UTC."""
        day = self._calendar.after(at.astimezone(CHINA_TIME).date(), self._table.of(region).working_days)
        return datetime.combine(day + _DAY, time(), CHINA_TIME).astimezone(UTC)
