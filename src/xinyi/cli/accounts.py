"""Who runs a command: the account of the machine, and who is behind it by sudo."""

import os
import pwd

from ..kernel.text import one_line

_LONGEST = 32


def account() -> str:
    """The account that the process has, whatever its environment says; its number where the machine has no name for it.

    sudo says by the environment alone who called it, which anybody can set: that never stands without the account.
    """
    try:
        own = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        own = f"uid {os.getuid()}"
    behind = one_line(os.environ.get("SUDO_USER", ""), _LONGEST)
    return own if behind in {"", own} else f"{behind} as {own}"
