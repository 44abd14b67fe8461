"""Words that plainly speak of something negative: no name and no text of a record has them."""

import re
import unicodedata
from typing import Final

NEGATIVE: Final = re.compile(
    r"blacklist|dishonest|default(?:ed|er)|penalt|overdue"
    r"|失信|黑名单|老赖|处罚|违约|逾期|欠缴|欠税|吊销",
    re.IGNORECASE,
)
"""Kept short. 违法 and 犯罪 aren't here, since people are commended for standing up to them; nor are 欠费 and 拖欠,
since what is good is called 无欠费 and 无拖欠."""

_IN_SMALL_LETTERS: Final = re.compile(NEGATIVE.pattern)
"""Where case is none, a search is a third of the work."""


def is_negative(text: str) -> bool:
    """Whether ``text`` has one of the words, in whatever forms of characters."""
    if text.isascii():
        return _IN_SMALL_LETTERS.search(text.lower()) is not None
    return NEGATIVE.search(unicodedata.normalize("NFKC", text)) is not None
