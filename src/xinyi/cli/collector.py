"""How often a process looks for reference cycles."""

import gc
from typing import Final

_STAYED: Final = 20_000


def collect_seldom() -> None:
    """Who stores many rows makes thousands of objects for each transaction, that go by themselves at its end: the
    collector waits until more than that have stayed."""
    gc.set_threshold(_STAYED, 20, 20)
