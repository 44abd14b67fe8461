"""What a subject is told before they agree (PIPL 17), whole and in one language. Pure.

Every sentence of substance is in the :class:`Notice`, none in the template: its digest stands for what was read.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Final

from msgspec import Struct, structs

from ..catalogue.model import Field, IntegerField, RecordType, Value, shown
from ..catalogue.service import Catalogue
from ..kernel.canonical import digest
from ..kernel.text import Language, Text
from ..partners.model import Partner, SubParty
from ..scenarios.model import Condition, ConsentForm, Criterion, Disclose, Rule, Scenario, Uses
from ..subjects.model import SubjectKind
from .model import Consent


class Operator(Struct, frozen=True):
    """Who runs the platform, and how a person reaches them."""

    name: Text
    contact: str
    """An e-mail address, telephone number or street address, as it is to be read."""


class Fact(Struct, frozen=True, tag="fact"):
    """One criterion in plain words."""

    id: str
    name: str
    source: str
    test: str
    necessity: str
    told: Disclose
    """What the partner learns about this fact alone."""
    telling: str
    """The same in words."""
    telling_reason: str | None
    """Why the overall result alone isn't enough, when something is told."""


class Group(Struct, frozen=True, tag="group"):
    """Facts of which all, or any one, must be evidenced."""

    any: bool
    heading: str
    necessity: str | None
    """Why they are needed, when the reason is the same for all: said once."""
    items: tuple["Fact | Group", ...]

    def facts(self) -> Iterator[Fact]:
        for item in self.items:
            if isinstance(item, Fact):
                yield item
            else:
                yield from item.facts()


class Notice(Struct, frozen=True, kw_only=True, dict=True):
    """The notice of one consent. ``partner``, ``sub_party`` and contacts are a third party's: pages render them inert.

    ``sub_party`` is the partner's branch or merchant that asks and is given the consent, if one does.
    """

    language: Language
    scenario_id: str
    scenario_version: int
    scenario_digest: str
    partner_id: str
    partner: str
    partner_contact: str
    sub_party_id: str | None
    sub_party: str | None
    operator: str
    scenario: str
    incentive: str
    purpose: str
    legal_basis: str
    facts: Group
    revealed: tuple[str, ...]
    hidden: tuple[str, ...]
    meanings: tuple[str, ...]
    form: str
    scope: str
    duration: str
    uses: str
    retention: str
    fallback: str
    withdrawal: str
    rights: tuple[str, ...]
    contact: str
    text: str | None = None
    """The full text of a written consent (``consents.written``)."""

    @cached_property
    def digest(self) -> str:
        """``sha-256:…`` over everything the subject is told: stored in the consent (L06)."""
        return digest(structs.asdict(self))


def notice(
    scenario: Scenario,
    partner: Partner,
    sub_party: SubParty | None,
    consent: Consent,
    catalogue: Catalogue,
    operator: Operator,
    language: Language,
) -> Notice:
    """The notice of ``consent``, which is one to ``scenario`` for ``partner``, acting by ``sub_party`` if there is one.

    Whom to ask is the sub-party where it says how it is reached, else the partner.
    """
    units = frozenset(consent.units)
    words = Words(scenario, units, catalogue, language)
    say = words.say
    return Notice(
        language=language,
        scenario_id=scenario.id,
        scenario_version=scenario.version,
        scenario_digest=scenario.digest,
        partner_id=partner.id,
        partner=partner.name.of(language),
        partner_contact=(None if sub_party is None else sub_party.contact) or partner.contact,
        sub_party_id=None if sub_party is None else sub_party.id,
        sub_party=None if sub_party is None else sub_party.name.of(language),
        operator=operator.name.of(language),
        scenario=scenario.name.of(language),
        incentive=scenario.incentive.of(language),
        purpose=scenario.purpose.of(language),
        legal_basis=scenario.legal_basis.of(language),
        facts=words.group(scenario.rule),
        revealed=tuple(words.revealed()),
        hidden=tuple(words.hidden()),
        meanings=(scenario.explanation.met.of(language), scenario.explanation.not_evidenced.of(language)),
        form=say(_FORMS[scenario.consent.form]),
        scope=say(_SCOPE),
        duration=words.days(scenario.consent.max_days),
        uses=say(_USES[scenario.consent.uses]),
        retention=say(
            Text(
                f"对方最多可保存结果 {scenario.retention_days} 天，之后必须删除；不得转交他人。",
                f"The partner may keep the answer for {words.days(scenario.retention_days)} at most, "
                "must delete it then, and may not pass it on.",
            )
        ),
        fallback=scenario.fallback.of(language),
        withdrawal=say(_WITHDRAWAL),
        rights=tuple(say(right) for right in _RIGHTS),
        contact=operator.contact,
    )


class Words:
    """Puts one scenario and the consented units into words of one language."""

    def __init__(self, scenario: Scenario, units: frozenset[str], catalogue: Catalogue, language: Language) -> None:
        self._scenario = scenario
        self._units = units
        self._catalogue = catalogue
        self._language = language

    def say(self, text: Text) -> str:
        return text.of(self._language)

    def days(self, count: int) -> str:
        if count == 1:
            return self.say(Text("24 小时", "24 hours"))
        return self.say(Text(f"{count} 天", f"{count} days"))

    def group(self, rule: Rule) -> Group:
        heading = _ANY if rule.any_of else _ALL if len(rule.all_of) > 1 else _ONE
        items = tuple(
            self._fact(self._scenario.criterion(item)) if isinstance(item, str) else self.group(item)
            for item in rule.items
        )
        return Group(bool(rule.any_of), self.say(heading), _shared_necessity(items), items)

    def revealed(self) -> Iterator[str]:
        yield self.say(_OVERALL)
        for criterion in self._scenario.criteria:
            name = self._record_type(criterion).name
            if criterion.id in self._units:
                yield self.say(Text(f"“{name.zh}”这一项是否满足", f"{_capital(name.en)}: met or not evidenced"))
            for field in self._told_fields(criterion):
                label = self.label(criterion, field)
                if field in criterion.bands:
                    text = Text(
                        f"“{name.zh}”的{label.zh}所在区间（仅在总体满足时）",
                        f"{_capital(name.en)}: the band of the {label.en}, only if the overall result is met",
                    )
                else:
                    text = Text(
                        f"“{name.zh}”的{label.zh}（仅在总体满足时）",
                        f"{_capital(name.en)}: the {label.en}, only if the overall result is met",
                    )
                yield self.say(text)

    def hidden(self) -> Iterator[str]:
        told_apart = any(criterion.id in self._units for criterion in self._scenario.criteria)
        if not told_apart and len(self._scenario.criteria) > 1:
            yield self.say(_WHICH)
        kept = self._kept_labels()
        if kept:
            yield self.say(
                Text(
                    "所核验事项的具体数值和内容（" + "、".join(label.zh for label in kept) + "）",
                    "The figures and details that are looked at (" + ", ".join(label.en for label in kept) + ")",
                )
            )
        person = self._scenario.subject_kind is SubjectKind.NATURAL_PERSON
        yield self.say(_PERSON_ID if person else _COMPANY_ID)
        yield self.say(_NOTHING_ELSE)

    def fact_name(self, criterion: Criterion) -> str:
        """What the criterion looks at."""
        return _capital(self.say(self._record_type(criterion).name))

    def told_value(self, criterion: Criterion, field: str, value: Value) -> str:
        """A value, or the label of a band, as it is read."""
        return self.say(shown(value, self._record_type(criterion).fields[field]))

    def _kept_labels(self) -> list[Text]:
        """The fields that are looked at and not told, each label once."""
        labels: dict[str, Text] = {}
        for criterion in self._scenario.criteria:
            for field in criterion.test:
                if field not in self._told_fields(criterion) or field in criterion.bands:
                    label = self.label(criterion, field)
                    labels.setdefault(label.zh, label)
        return list(labels.values())

    def _told_fields(self, criterion: Criterion) -> list[str]:
        if criterion.id not in self._units:
            return []
        return [field for field in criterion.disclosed_fields if f"{criterion.id}.{field}" in self._units]

    def _fact(self, criterion: Criterion) -> Fact:
        record_type = self._record_type(criterion)
        told = self._told(criterion)
        reason = criterion.disclosure_reason if told is not Disclose.NONE else None
        return Fact(
            id=criterion.id,
            name=self.fact_name(criterion),
            source=self.say(record_type.source),
            test=self._test(criterion, record_type),
            necessity=self.say(criterion.necessity),
            told=told,
            telling=self.say(_TELLING[told]),
            telling_reason=None if reason is None else self.say(reason),
        )

    def _told(self, criterion: Criterion) -> Disclose:
        if criterion.id not in self._units:
            return Disclose.NONE
        return criterion.disclose if self._told_fields(criterion) else Disclose.OUTCOME

    def _test(self, criterion: Criterion, record_type: RecordType) -> str:
        conditions = [
            self._condition(record_type.fields[field], condition) for field, condition in criterion.test.items()
        ] or [self.say(_A_RECORD)]
        age = self._age(criterion.max_age)
        return _capital(self.say(Text("，", ", ")).join((*conditions, age)))

    def _condition(self, field: Field, condition: Condition) -> str:
        name = field.name
        if condition.at_least is not None and isinstance(field, IntegerField):
            return self.say(field.at_least(condition.at_least))
        if condition.in_:
            listed = [self.say(shown(value, field)) for value in condition.in_]
            return self.say(Text(f"{name.zh}为 {_or(listed, Language.ZH)}", f"{name.en}: {_or(listed, Language.EN)}"))
        return self.say(Text(f"有{name.zh}", f"{name.en}: on record"))

    def _age(self, age: timedelta) -> str:
        days = age.days
        years = round(days / 365.25)
        if years < 2:
            return self.say(Text(f"{days} 天内的记录", f"on record within {days} days"))
        return self.say(
            Text(f"{days} 天（约 {years} 年）内的记录", f"on record within {days} days (about {years} years)")
        )

    def label(self, criterion: Criterion, field: str) -> Text:
        """What a field is called."""
        return self._record_type(criterion).fields[field].name

    def _record_type(self, criterion: Criterion) -> RecordType:
        return self._catalogue.get(criterion.record)


def _shared_necessity(items: Sequence[Fact | Group]) -> str | None:
    """The one reason of several facts."""
    reasons = {item.necessity for item in items if isinstance(item, Fact)}
    return reasons.pop() if len(items) > 1 and len(reasons) == 1 else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _or(items: Iterable[str], language: Language) -> str:
    *first, last = items
    if not first:
        return last
    if language is Language.ZH:
        return "、".join(first) + ("或 " if last[0].isascii() else "或") + last
    return ", ".join(first) + " or " + last


_ALL: Final = Text("以下各项都要满足", "All of these have to be met")
_ANY: Final = Text("以下任意一项满足即可", "Any one of these is enough")
_ONE: Final = Text("只看这一项", "Only this is looked at")
_A_RECORD: Final = Text("有当前有效的记录", "there is a current record")

_OVERALL: Final = Text("总体结果：“满足”或“未见佐证”", "The overall result: met, or not evidenced")
_WHICH: Final = Text("满足或不满足的是哪一项", "Which of the facts are met and which aren't")
_PERSON_ID: Final = Text(
    "您的身份证号码、住址和联系方式；对方只收到一个专用代号",
    "Your identity number, address or contact details: the partner gets a code of its own for you",
)
_COMPANY_ID: Final = Text(
    "登记信息和经办人信息；对方只收到一个专用代号",
    "Registration details or who acted for the company: the partner gets a code of its own",
)
_NOTHING_ELSE: Final = Text("任何其他记录，以及有没有其他记录", "Any other record, or whether there are any")

_TELLING: Final = {
    Disclose.NONE: Text("不单独告知", "Not told by itself"),
    Disclose.OUTCOME: Text("告知是否满足", "Met or not evidenced is told"),
    Disclose.BAND: Text("告知所在区间", "A band is told"),
    Disclose.VALUE: Text("告知具体内容", "The value is told"),
}

_FORMS: Final = {
    ConsentForm.SEPARATE: Text("单独同意", "Separate consent"),
    ConsentForm.WRITTEN: Text("书面同意", "Written consent"),
}
_SCOPE: Final = Text(
    "只针对这一家机构、这一个场景；用途、事项或保存期限扩大时会重新征求您的同意",
    "For this partner and this use alone; you are asked again if its purpose, facts or retention ever widen",
)
_USES: Final = {
    Uses.ONCE: Text("只能核验一次", "One only"),
    Uses.RECURRING: Text("可多次核验", "Any number"),
}

_WITHDRAWAL: Final = Text(
    "随时可在“我的授权”页面一键撤回或暂停，立即生效。撤回前已依法给出的结果仍然有据可查，但对方不能再次取得。",
    "Withdraw or pause it at any time on your own page, with one click and at once. What was lawfully answered "
    "before stays provable, but can't be fetched again.",
)
_RIGHTS: Final = (
    Text("查阅、复制您的记录和对它们的查询情况", "See and copy your records, and learn who had them looked at"),
    Text("对记录提出异议、要求更正或删除", "Contest a record, have it corrected or deleted"),
    Text("不向某个场景提供某类记录", "Withhold a kind of record from a use"),
    Text("要求对结果作出说明，并由人工核查", "Have a result explained, and looked at again by a person"),
)
