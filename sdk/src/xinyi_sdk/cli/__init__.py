"""The commands of the SDK."""

import argparse
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Final

from .._version import __version__
from ..errors import APIError, XinyiError
from . import batch, keygen, request, verify
from .common import both

_DESCRIPTION: Final = "Make a key pair, verify receipts offline, send a batch of checks, make any call."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    0 is success, 1 a receipt that proves nothing or a platform that doesn't do what it is asked, 2 a wrong command or
    an unreadable file, 130 an interrupted command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that knows no Chinese still shows the English
            stream.reconfigure(errors="replace")
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except XinyiError as error:
        _tell("未能完成", error)
        for line in _bad_items(error):
            print(line, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _tell("文件或连接有误", f"{place}{error.strerror or error}")
        return 2
    except ValueError as error:
        _tell("命令或文件有误", error)
        return 2
    return code


def _tell(zh: str, en: object) -> None:
    print(f"xinyi-sdk: {both(zh, str(en))}", file=sys.stderr)  # noqa: T201


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    program = argparse.ArgumentParser(prog="xinyi-sdk", description=_DESCRIPTION)
    program.add_argument("--version", action="version", version=f"xinyi-sdk {__version__}")
    commands = program.add_subparsers(required=True, metavar="COMMAND")
    for each in (keygen, verify, batch, request):
        each.add_to(commands)
    return program


def _bad_items(error: XinyiError) -> list[str]:
    """The items of an upload that the platform can't take, one a line."""
    errors = error.problem.get("errors") if isinstance(error, APIError) else None
    return [f"  {_place(each)}: {each.get('code')}" for each in (errors or []) if isinstance(each, dict)]


def _place(each: dict[str, object]) -> str:
    place = f"line {each['line']}" if "line" in each else f"item {each.get('number')}"
    return f"{place}, {each['member']}" if "member" in each else place
