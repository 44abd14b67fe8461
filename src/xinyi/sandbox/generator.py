"""Any number of made-up subjects with records, as alike as a seed makes them.

Each subject is drawn from the seed and its own number alone, so the stream needs no memory, can be cut anywhere, and is
the same for a source whether or not the other sources' rows are wanted. Shares and lengths are set by hand to look like
a city's; they are measured nowhere. Facts hang together: who has lived longer in a place has paid everything there for
longer, and a new company has no grade yet or M.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Final

from ..records.rows import Row
from . import identities
from .dossier import Dossier

COMPANIES: Final = 0.2
"""The share of subjects that are companies."""
STALE: Final = 0.04
"""The share of subjects whose sources have sent nothing for a year or two."""

_REGIONS: Final = 9999
_NUMBERS: Final = 1000
_FIRST_BIRTH_DAY: Final = date(1946, 1, 1)
_BIRTH_DAYS: Final = 21_500  # to November 2004


def generate(subjects: int, seed: int, today: date) -> Iterator[Row]:
    """The rows about ``subjects`` made-up subjects, as their sources would send them on ``today``."""
    for index in range(subjects):
        draw = Random(f"{seed}:{index}")  # noqa: S311 - made-up facts are no secret
        ref = f"s{seed}-{index}"
        if draw.random() < COMPANIES:
            yield from _company(draw, index, ref, today)
        else:
            yield from _person(draw, index, seed, ref, today)


def _company(draw: Random, index: int, ref: str, today: date) -> list[Row]:
    small = draw.random() < 0.25
    identifier = identities.company(1 + index % _REGIONS, index // _REGIONS, sole_proprietor=small)
    it = Dossier(identifier, ref, today)
    age = 2 + int(draw.expovariate(1 / 70))
    lag = _lag(draw)
    if draw.random() < 0.9:
        it.months("TAX_ONTIME", _within(draw, age), days_ago=lag)
    grade = _grade(draw, age)
    if grade is not None and not small:
        it.tax_rating(grade, years_ago=lag // 365)
    employs = draw.random() < (0.3 if small else 0.8)
    if employs:
        insured = _within(draw, age)
        it.months("SOCINS_PAID", insured, days_ago=lag)
        if draw.random() < 0.6:
            it.months("HPF_PAID", _within(draw, insured), days_ago=lag)
    _utilities(draw, it, age, lag, share=0.65)
    if draw.random() < 0.4:
        it.licence("示例经营许可", index, days_ago=draw.randrange(30, 1500))
    if draw.random() < 0.25:
        it.commitment_kept(index, days_ago=draw.randrange(5, 700))
    if draw.random() < (0.3 if grade == "A" else 0.02):
        it.incentive_list("tax", days_ago=draw.randrange(10, 700))
    if not small:
        _achievements(draw, it, grade, lag)
    return it.rows


def _achievements(draw: Random, it: Dossier, grade: str | None, lag: int) -> None:
    """What larger companies may have."""
    if draw.random() < 0.2:
        it.contracts(1 + int(draw.expovariate(1 / 6)), days_ago=lag)
    if draw.random() < (0.06 if grade == "A" else 0.01):
        it.customs(draw.choice(("advanced", "certified")), days_ago=draw.randrange(30, 1500))
    innovative = draw.random() < 0.1
    if innovative:
        it.tech_cert(draw.choice(("high-tech", "specialised", "tech-sme", "innovative-sme")), days_ago=lag + 60)
    if draw.random() < (0.8 if innovative else 0.04):
        it.patents(1 + int(draw.expovariate(1 / 8)), days_ago=lag)
    if draw.random() < 0.05:
        it.honour("示例市示范企业", draw.choice(("municipal", "county")), days_ago=draw.randrange(30, 900))
    if draw.random() < 0.12:
        it.trades(1 + int(draw.expovariate(1 / 18)), days_ago=lag)


def _person(draw: Random, index: int, seed: int, ref: str, today: date) -> list[Row]:
    place, round_ = index % (_REGIONS * _NUMBERS), index // (_REGIONS * _NUMBERS)
    born = _FIRST_BIRTH_DAY + timedelta(days=(place * 7919 + seed * 104_729 + round_) % _BIRTH_DAYS)
    it = Dossier(identities.person(1 + place % _REGIONS, born, place // _REGIONS), ref, today)
    settled = 1 + int(draw.expovariate(1 / 48))
    lag = _lag(draw)
    if draw.random() < 0.7:
        insured = _within(draw, settled)
        it.months("SOCINS_PAID", insured, days_ago=lag)
        if draw.random() < 0.6:
            it.months("HPF_PAID", _within(draw, insured), days_ago=lag)
    _utilities(draw, it, settled, lag, share=0.55)
    _engagement(draw, it, lag)
    if draw.random() < 0.2:
        it.qualification("示例专业技术资格", days_ago=draw.randrange(30, 1500))
    if draw.random() < 0.3 * min(1.0, settled / 60):
        it.property(days_ago=lag)
    if draw.random() < 0.18:
        it.returns(1 + int(draw.expovariate(1 / 9)), days_ago=lag)
    return it.rows


def _engagement(draw: Random, it: Dossier, lag: int) -> None:
    """What people do for others."""
    volunteers = draw.random() < 0.12
    if volunteers:
        band = draw.choices(("h20-99", "h100-299", "h300-599", "h600-up"), (60, 28, 9, 3))[0]
        it.volunteer(band, draw.choice((None, 1, 2, 3)), days_ago=lag)
    if draw.random() < (0.15 if volunteers else 0.02):
        it.incentive_list("volunteer", days_ago=draw.randrange(10, 700))
    if draw.random() < 0.05:
        it.donations(1 + int(draw.expovariate(1 / 2)), days_ago=lag)
    if draw.random() < 0.015:
        it.honour("示例市文明市民", draw.choice(("municipal", "county")), days_ago=draw.randrange(30, 900))
    if draw.random() < 0.0005:
        it.bravery(days_ago=draw.randrange(30, 900))


def _utilities(draw: Random, it: Dossier, most: int, lag: int, *, share: float) -> None:
    """Whoever has one meter on their name mostly has the others too."""
    if draw.random() >= share:
        return
    for record_type, has in (("UTIL_ELEC", 0.97), ("UTIL_WATER", 0.85), ("UTIL_GAS", 0.55)):
        if draw.random() < has:
            it.months(record_type, _within(draw, most), days_ago=lag)


def _grade(draw: Random, age: int) -> str | None:
    """The tax authority gives M to the new, and the grades that can't be stored to none of ours."""
    if draw.random() < 0.12:
        return None
    if age < 24:
        return "M"
    return draw.choices(("A", "B", "M"), (18, 62, 20))[0]


def _within(draw: Random, most: int) -> int:
    """Months in a row: most often the whole time, else since some break in it."""
    return min(600, most if draw.random() < 0.7 else draw.randint(1, most))


def _lag(draw: Random) -> int:
    """Days since the sources last sent something."""
    return draw.randrange(400, 900) if draw.random() < STALE else draw.randrange(1, 28)
