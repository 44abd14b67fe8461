"""Values that several resources share."""

from msgspec import Struct


class Text(Struct, frozen=True):
    """A text for people, in Chinese and English."""

    zh: str
    en: str

    def __str__(self) -> str:
        return self.zh


class ScenarioVersion(Struct, frozen=True):
    """Which published text of a scenario was used: its digest pins every word of it."""

    id: str
    version: int
    digest: str


class Unit(Text, frozen=True):
    """What a count counts: ``6 个月``, ``6 months``; ``en_one`` is the English of one."""

    en_one: str
