"""Text for people, in both languages, Chinese first."""

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
