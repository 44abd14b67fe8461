"""What a scenario may not say, whatever its form (its form is checked where it is decoded)."""

import re
from collections.abc import Iterator
from typing import Final

import yaml

from ..catalogue.files import Problem, Source
from ..catalogue.model import BooleanField, DateField, EnumField, IntegerField, RecordType, Sensitivity, TextField
from ..catalogue.service import Catalogue
from ..subjects.model import SubjectKind
from .model import Condition, ConsentForm, Criterion, Disclose, Rule, Scenario

_WORDS: Final = (
    (
        "a score, weight or rank has no place here",
        re.compile(
            r"(?<![a-z])(scor(e|es|ed|ing)|weight(s|ed|ing)?|rank(s|ed|ing)?)(?![a-z])|评分|打分|得分|分数|权重|排名",
            re.IGNORECASE,
        ),
    ),
    (
        "the platform reports facts and doesn't judge",
        re.compile(
            r"(?<![a-z])(good(?!s)|bad|poor|excellent|trustworth|blacklist|dishonest)|良好|优良|不良|失信|黑名单",
            re.IGNORECASE,
        ),
    ),
)


def problems_in(scenario: Scenario, source: Source, catalogue: Catalogue) -> list[Problem]:
    """The problems of one scenario, at their lines."""
    problems = list(_text_problems(source))
    undisclosable = set(_in_choices(scenario.rule))
    for index, criterion in enumerate(scenario.criteria):
        problems += _criterion_problems(scenario, criterion, index, source, catalogue)
        if criterion.id in undisclosable and criterion.disclose is not Disclose.NONE:
            problems.append(
                source.problem("an `any_of` never tells which: `disclose` must be none", "criteria", index, "disclose")
            )
    if (
        "bank" in scenario.partner_kinds
        and scenario.subject_kind is SubjectKind.NATURAL_PERSON
        and scenario.consent.form is not ConsentForm.WRITTEN
    ):
        problems.append(source.problem("a bank needs a person's written consent", "consent", "form"))
    return problems


def _criterion_problems(
    scenario: Scenario, criterion: Criterion, index: int, source: Source, catalogue: Catalogue
) -> Iterator[Problem]:
    at = ("criteria", index)
    if criterion.record not in catalogue:
        yield source.problem(f"there is no record type `{criterion.record}`", *at, "record")
        return
    record_type = catalogue.get(criterion.record)
    if not record_type.enabled:
        yield source.problem(f"the record type {record_type.code} is off", *at, "record")
    if scenario.subject_kind not in record_type.subject_kinds:
        yield source.problem(f"{record_type.code} isn't recorded about a {scenario.subject_kind.value}", *at, "record")
    if record_type.sensitivity is Sensitivity.SENSITIVE and scenario.consent.form is not ConsentForm.WRITTEN:
        yield source.problem(f"{record_type.code} is sensitive: it needs written consent", *at, "record")
    for member, condition in criterion.test.items():
        complaint = _misfit(record_type, member, condition)
        if complaint is not None:
            yield source.problem(complaint, *at, "test", member)
    for member, bounds in criterion.bands.items():
        field = record_type.fields.get(member)
        if isinstance(field, IntegerField) and bounds[-1] > field.max:
            yield source.problem(f"`{member}` is never more than {field.max}", *at, "bands", member)


def _misfit(record_type: RecordType, member: str, condition: Condition) -> str | None:
    """Why the condition can't be asked of this record type, if it can't."""
    field = record_type.fields.get(member)
    match field:
        case None:
            return f"{record_type.code} has no field `{member}`"
        case TextField():
            return f"`{member}` is free text, which no criterion tests"
        case _ if condition.present:
            return None
        case IntegerField() if condition.at_least is not None:
            within = field.min <= condition.at_least <= field.max
            return None if within else f"`{member}` is from {field.min} to {field.max}"
        case EnumField() if condition.in_:
            strange = [value for value in condition.in_ if value not in field.values]
            return f"`{member}` is never {strange[0]!r}" if strange else None
        case BooleanField() | DateField():
            return f"only `present: true` can be asked of `{member}`"
        case _:
            return f"ask `at_least` of a number and `in` of a listed value; `{member}` is another"


def _in_choices(rule: Rule) -> Iterator[str]:
    """The criteria that stand anywhere under an ``any_of``."""
    if rule.any_of:
        yield from rule.criteria()
        return
    for item in rule.items:
        if isinstance(item, Rule):
            yield from _in_choices(item)


def _text_problems(source: Source) -> Iterator[Problem]:
    for node in _scalars(source.root):
        line = node.start_mark.line + 1
        if not node.value.strip():
            yield Problem(source.path, line, "the text is empty")
        for message, pattern in _WORDS:
            if (found := pattern.search(node.value)) is not None:
                yield Problem(source.path, line, f"“{found[0]}”: {message}")


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                yield from _scalars(key)
                yield from _scalars(value)
        case yaml.SequenceNode():
            for item in node.value:
                yield from _scalars(item)
        case yaml.ScalarNode():
            yield node
