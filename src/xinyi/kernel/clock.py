"""Time is a dependency: it is injected once, through ``create_app``, and no setting can move it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Protocol, runtime_checkable

CHINA_TIME: Final = timezone(timedelta(hours=8), "UTC+8")
"""China Standard Time: days in records and in identifiers are days there, which has had no other offset since 1991."""


@runtime_checkable
class Clock(Protocol):
    """Tells the time, as an aware datetime in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def whole_seconds(moment: datetime) -> datetime:
    """The moment without its fraction: what an answer shows, so that its length never depends on it."""
    return moment.replace(microsecond=0)


def epoch_seconds(moment: datetime) -> int:
    """NumericDate of RFC 7519 §2: whole seconds since 1970-01-01T00:00:00Z."""
    return int(moment.timestamp())
