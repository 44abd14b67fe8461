"""Who runs a command: the account of the machine, also behind sudo."""

import getpass
import os


def account() -> str:
    """The account's name; ``unknown`` where the machine has none for it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
