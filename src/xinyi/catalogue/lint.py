"""What a record type may not hold, whatever its form."""

import re
from typing import Final

from .files import Problem, Source
from .model import RecordType, TextField
from .negative import NEGATIVE

_BANNED: Final = (
    (
        "a personal amount (income, deposits, tax paid) can't be a field",
        re.compile(
            r"amount|balance|income|salary|wage|deposit|tax_paid|usage|金额|余额|收入|工资|存款|纳税额|用量",
            re.IGNORECASE,
        ),
    ),
    (
        "religion, genes, fingerprints, blood type and disease history can't be recorded",
        re.compile(
            r"religio|\bfaith|gene(?!ral)|\bdna\b|fingerprint|biometric|blood_?\s?type|disease|illness|medical"
            r"|宗教|基因|指纹|血型|疾病|病史|病历",
            re.IGNORECASE,
        ),
    ),
    (
        "a score, weight or rank is no fact",
        re.compile(r"(?<![a-z])(scor(e|es|ing)|weight|rank(ing|ed)?)(?![a-z])|评分|打分|得分|权重|排名", re.IGNORECASE),
    ),
    (
        "only positive facts are recorded",
        re.compile(rf"{NEGATIVE.pattern}|violation|违法", re.IGNORECASE),
    ),
)


def problems_in(record_type: RecordType, source: Source) -> list[Problem]:
    """The problems of one record type, at their lines."""
    problems = _in_text(source, record_type.code, "code")
    problems += _in_text(source, record_type.name.zh, "name") or _in_text(source, record_type.name.en, "name")
    for member, field in record_type.fields.items():
        at = ("fields", member)
        problems += (
            _in_text(source, member, *at)
            or _in_text(source, field.name.zh, *at)
            or _in_text(source, field.name.en, *at)
        )
    if all(isinstance(field, TextField) for field in record_type.fields.values()):
        problems.append(source.problem("no criterion could test these fields", "fields"))
    return problems


def _in_text(source: Source, text: str, *path: str) -> list[Problem]:
    return [source.problem(message, *path) for message, pattern in _BANNED if pattern.search(text)][:1]
