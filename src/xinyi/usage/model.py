"""Counts, prices, and sums of both. Pure.

Days are days in China. Money is counted in ten-thousandths of a yuan, so that every sum is exact.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ..kernel.clock import CHINA_TIME

CURRENCY: Final = "CNY"
_UNITS: Final = 10_000  # of a yuan
DEAREST: Final = Decimal(10_000)
"""The highest price of one answer, in yuan."""
EVERYBODY: Final = "*"
"""As the partner of a price: whoever has none of its own."""


class Period(StrEnum):
    """What usage is summed up by."""

    DAY = "day"
    MONTH = "month"


class DayCount(Struct, frozen=True):
    """The checks of one partner in one scenario on one day: answers, and refusals, which are never charged."""

    partner_id: str
    day: date
    scenario_id: str
    answered: int
    refused: int


class Price(Struct, frozen=True):
    """What one answer costs from a day on, in ten-thousandths of a yuan."""

    scenario_id: str
    partner_id: str
    since: date
    units: int


class Usage(Struct, frozen=True):
    """The checks of one partner in one scenario in one period, and what they cost together."""

    period: str
    partner_id: str
    scenario_id: str
    answered: int
    refused: int
    units: int

    @property
    def amount(self) -> str:
        return yuan(self.units)


def day_of(moment: datetime) -> date:
    """The day in China."""
    return moment.astimezone(CHINA_TIME).date()


def beginning(day: date) -> datetime:
    """The first moment of a day in China."""
    return datetime.combine(day, time(), CHINA_TIME)


def days_between(since: datetime, until: datetime) -> Iterator[tuple[date, datetime, datetime]]:
    """The days from one moment to another, each with the part of it that lies between them."""
    while since < until:
        day = day_of(since)
        end = min(until, beginning(day + timedelta(days=1)))
        yield day, since, end
        since = end


def units_of(text: str) -> int:
    """A price in yuan, with four decimals at most. Raises ``ValueError``."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("a price is a number of yuan, such as 0.05") from None
    units = value * _UNITS
    if not (value.is_finite() and 0 <= value <= DEAREST and units == units.to_integral_value()):
        raise ValueError(f"a price has four decimals at most, and is from 0 to {DEAREST} yuan")
    return int(units)


def yuan(units: int) -> str:
    """As yuan with four decimals."""
    return f"{units // _UNITS}.{units % _UNITS:04}"


def price_on(prices: Iterable[Price], partner_id: str, scenario_id: str, day: date) -> int:
    """What one answer costs the partner on this day; its own price comes before everybody's, and 0 is the default."""
    found = [
        price
        for price in prices
        if price.scenario_id == scenario_id and price.since <= day and price.partner_id in {partner_id, EVERYBODY}
    ]
    if not found:
        return 0
    return max(found, key=lambda price: (price.partner_id == partner_id, price.since)).units


def summed(counts: Iterable[DayCount], prices: Sequence[Price], by: Period) -> list[Usage]:
    """The counts summed up by period, partner and scenario, in this order; each day at that day's price."""
    sums: dict[tuple[str, str, str], tuple[int, int, int]] = {}
    for count in counts:
        period = count.day.isoformat() if by is Period.DAY else f"{count.day:%Y-%m}"
        key = (period, count.partner_id, count.scenario_id)
        answered, refused, units = sums.get(key, (0, 0, 0))
        cost = count.answered * price_on(prices, count.partner_id, count.scenario_id, count.day)
        sums[key] = (answered + count.answered, refused + count.refused, units + cost)
    return [Usage(*key, *sums[key]) for key in sorted(sums)]
