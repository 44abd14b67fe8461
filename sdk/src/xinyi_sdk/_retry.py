"""When to try again, and when. Pure."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

RETRIED_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
BASE: Final = 0.5
"""Seconds: the first try waits at most this, each further one twice as long."""
CAP: Final = 8.0
"""Seconds: no wait that we choose is longer."""
MAX_RETRY_AFTER: Final = 60.0
"""Seconds: when the platform asks for more, the caller decides instead of being blocked."""


def http_date(text: str | None) -> float | None:
    """The epoch seconds of an HTTP date (RFC 9110 §5.6.7), or ``None``."""
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """``Retry-After`` of either form (RFC 9110 §10.2.3) in seconds from ``now``; ``None`` when absent."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    moment = http_date(text)
    return None if moment is None else max(0.0, moment - now)


def wait_before(number: int, asked: float | None, random: Callable[[], float]) -> float | None:
    """Seconds to wait before retry ``number`` (from 0), or ``None`` when waiting is the caller's decision.

    Full jitter over the exponential ceiling; ``asked``, the platform's own wish, is kept and gets jitter on top, so
    that those who were turned away together don't come back together.
    """
    if asked is not None and asked > MAX_RETRY_AFTER:
        return None
    ceiling = min(CAP, BASE * (1 << number))
    return random() * ceiling if asked is None else asked + random() * min(BASE, ceiling)


def utc(epoch: float) -> datetime:
    """Epoch seconds as an aware datetime."""
    return datetime.fromtimestamp(epoch, UTC)
