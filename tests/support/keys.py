"""Key files for tests."""

from pathlib import Path

from tests.support.clock import ManualClock
from xinyi.storage.keys import Keys, make_keys, open_keys


def fresh_keys(folder: Path) -> Keys:
    """The keys in ``folder``, made when they aren't there."""
    make_keys(folder, ManualClock().now())
    return open_keys(folder)
