"""A clock that only a test moves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class ManualClock:
    """Starts at a fixed moment and stands still until told otherwise."""

    def __init__(self, start: datetime = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)) -> None:
        self._now = start
        self.followers: list[Callable[[timedelta], None]] = []
        """What must be told that time passes, since it has a clock of its own."""

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by
        for follow in self.followers:
            follow(by)
