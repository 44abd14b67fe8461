"""Text for people, in both languages, Chinese first."""

import unicodedata
from enum import StrEnum

from msgspec import Struct


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


class Text(Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence or name in Chinese and English."""

    zh: str
    en: str

    def of(self, language: Language) -> str:
        return self.en if language is Language.EN else self.zh


def one_line(value: str, limit: int) -> str:
    """Text that a third party chose, on one line of at most ``limit`` characters, and without control, format (bidi,
    zero-width) or private characters."""
    kept = "".join(" " if c.isspace() else c for c in value if c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
