"""Write the reference of the SDK's errors from their classes: ``make sdk-errors``. A test compares the two."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xinyi_sdk import errors

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "sdk" / "errors.md"
HEAD: Final = """# Errors of the SDK

<!-- written by tools/sdk_errors.py from xinyi_sdk/errors.py: edit that, then run 'make sdk-errors' -->

Everything that the SDK raises on purpose is an `XinyiError`. Catch the widest class that you treat alike: a
`ConsentError` is any reason for which a consent doesn't carry a check. What the platform refused is an `APIError`, with
`code`, `status`, `request_id` (what support asks for), `problem` (the whole document), `source` (the wrong member),
`retry_after` (seconds, or `None` when no time was named) and `hint`. A code that is new to your version comes as the
class of its HTTP status.
"""


def page() -> str:
    """The reference, whole."""
    return f"{HEAD}\n```\n{_tree()}\n```\n" + "".join(_section(kind, depth) for kind, depth in _classes())


def _tree() -> str:
    drawn = str(errors.__doc__).partition("::")[2].strip("\n").splitlines()
    return "\n".join(line.removeprefix("    ") for line in drawn)


def _classes(kind: type[Exception] = errors.XinyiError, depth: int = 0) -> Iterator[tuple[type[Exception], int]]:
    """The classes, each before those below it."""
    yield kind, depth
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from _classes(each, depth + 1)


def _section(kind: type[Exception], depth: int) -> str:
    text = f"\n## `{kind.__name__}`\n\n{_prose(kind)}\n"
    below = kind.__base__
    if depth and below is not None:
        text += f"\nCaught as `{below.__name__}` too.\n"
    codes = errors.codes_of(kind)
    if codes:
        text += f"\nCodes: {', '.join(f'`{code}`' for code in codes)}.\n"
    hint = vars(kind).get("hint")
    if hint:
        text += f"\nWhat to do: {hint}\n"
    return text


def _prose(kind: type[Exception]) -> str:
    lines = [line.strip() for line in str(kind.__doc__).strip().splitlines()]
    return "\n".join(lines).replace("``", "`")


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
