"""What the commands share."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

ENVIRONMENT = (
    "Calls the platform that XINYI_SDK_BASE_URL names, as XINYI_SDK_CLIENT_ID with XINYI_SDK_PRIVATE_KEY_FILE."
)


def both(zh: str, en: str) -> str:
    """One line in both languages, Chinese first, as the commands print it."""
    return f"{zh} / {en}"


def text_of(name: str) -> str:
    """The text of a file; ``-`` is standard input."""
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def json_of(name: str) -> dict[str, Any]:
    """The JSON object in a file. Raises ``ValueError``."""
    return object_in(text_of(name), name)


def object_in(text: str, name: str) -> dict[str, Any]:
    """The JSON object that ``text`` is. Raises ``ValueError`` that names its file."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{name} isn't a JSON object")
    return value
