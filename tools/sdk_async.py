"""Write the SDK's awaiting client from the blocking one, so that the two can't drift: ``make sdk-async``.

``xinyi_sdk/client.py`` becomes ``async_client.py``, and each module of ``_resources`` one of ``_async_resources``. What
is written says so in its first line; a test compares it with what this would write.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "sdk" / "src" / "xinyi_sdk"
HEADING: Final = "# Written by tools/sdk_async.py from {source}: edit that, then run 'make sdk-async'.\n"

CLASSES: Final = re.compile(r"^class (?!Resource\b)(\w+)", re.MULTILINE)
METHOD: Final = re.compile(r"^    def (\w+)\(.*?(?=^    (?:def|@)|\Z)", re.MULTILINE | re.DOTALL)
WORDS: Final[Mapping[str, str]] = {
    "Iterator": "AsyncIterator",
    "SyncDriver": "AsyncDriver",
    "HttpClient": "AsyncHttpClient",
    "_resources": "_async_resources",
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    "The blocking client": "The awaiting client",
    "of the blocking client": "of the awaiting client",
    "share it between threads": "share it between its loop's tasks",
}


def sources() -> list[Path]:
    """The blocking modules."""
    return [PACKAGE / "client.py", *sorted((PACKAGE / "_resources").glob("*.py"))]


def target(source: Path) -> Path:
    """Where the awaiting form of a blocking module is."""
    if source.name == "client.py":
        return PACKAGE / "async_client.py"
    return PACKAGE / "_async_resources" / source.name


def awaiting(source: Path) -> str:
    """The awaiting form of a blocking module, unformatted."""
    text = source.read_text("utf-8")
    names = {name for each in sources() for name in CLASSES.findall(each.read_text("utf-8"))}
    for old, new in WORDS.items():
        text = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, text)
    for name in names:
        text = re.sub(rf"(?<![\w.]){name}(?=\(|\"|\]|$|:| = )|(?<=`){name}(?=`)", f"Async{name}", text)
        text = re.sub(rf"(^from \.\S+ import .*)\b{name}\b", rf"\1Async{name}", text, flags=re.MULTILINE)
    text = METHOD.sub(_awaiting_method, text)
    return HEADING.format(source=source.relative_to(PACKAGE)) + text


def _awaiting_method(found: re.Match[str]) -> str:
    method = found[0]
    if not re.search(r"self\._driver\.(run|close)\(|self\.close\(", method) and found[1] != "__aenter__":
        return method
    method = method.replace("    def ", "    async def ", 1)
    return re.sub(r"self\.(_driver\.run|_driver\.close|close)\(", r"await self.\1(", method)


def formatted(text: str) -> str:
    """As ``make format`` leaves it."""
    for command in (["check", "--quiet", "--fix", "--select", "I,F401"], ["format", "--quiet"]):
        name = ["--stdin-filename", str(PACKAGE / "async_client.py"), "-"]
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *name], input=text, capture_output=True, text=True, check=True
        ).stdout
    return text


def written() -> dict[Path, str]:
    """Every awaiting module and what belongs into it."""
    return {target(source): formatted(awaiting(source)) for source in sources()}


def main() -> None:
    """Writes them all, and removes what has no source any more."""
    wanted = written()
    (PACKAGE / "_async_resources").mkdir(exist_ok=True)
    for path in (PACKAGE / "_async_resources").glob("*.py"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
