"""Where a demo runs: a terminal that takes Chinese, whatever the operator has set for installations of their own."""

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final

import httpx
from rich.console import Console
from rich.markup import escape

from xinyi_sdk import XinyiError

console = Console(highlight=False, soft_wrap=True)
_INTERRUPTED: Final = 130  # as a shell tells it: 128 and SIGINT


class DemoFailed(Exception):
    """A step didn't go as it had to. ``str()`` says which, in a sentence."""


def say_command(words: str) -> None:
    """Shows a command before it runs, as it can be pasted."""
    console.print(f"[dim]$ {escape(words)}[/dim]")


def without_settings(kept: Collection[str] = ()) -> dict[str, str]:
    """The environment without the variables that set up an installation, but for those that are ``kept``."""
    return {name: value for name, value in os.environ.items() if not name.startswith("XINYI_") or name in kept}


@contextmanager
def surrounded_by(environment: Mapping[str, str]) -> Iterator[None]:
    """This process's environment is that one until the block ends."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def told_in_one_sentence(name: str) -> Iterator[None]:
    """Prints as UTF-8, and ends the program with status 1 and one sentence when something goes wrong inside."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    try:
        yield
    except (DemoFailed, XinyiError, httpx.HTTPError, OSError) as error:
        raise SystemExit(f"{name}: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
