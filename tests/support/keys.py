"""Key files for tests."""

from pathlib import Path

from tests.support.clock import ManualClock
from xinyi.settings import Environment
from xinyi.storage.key_files import make_keys, open_keys
from xinyi.storage.keys import Keys


def fresh_keys(folder: Path, environment: Environment = Environment.SANDBOX) -> Keys:
    """The keys in ``folder``, made when they aren't there."""
    make_keys(folder, ManualClock().now(), environment)
    return open_keys(folder, environment, ManualClock())
