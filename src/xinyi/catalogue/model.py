"""Record types and the values that their fields take. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal
from unicodedata import category, normalize

from msgspec import Meta, Struct

from ..kernel.clock import CHINA_TIME
from ..kernel.text import Text
from ..subjects.model import SubjectKind

Value = str | int | bool
"""A field's value as it is stored, tested and disclosed; a date is its ISO 8601 text."""

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that a line of text can't have. Private use is let in: rare characters of names are written so."""
_DATE: Final = re.compile(r"^\d{4}-\d{2}-\d{2}$", re.ASCII)
_INTEGER: Final = re.compile(r"^(0|-?[1-9]\d{0,17})$", re.ASCII)
_TELLABLE: Final = re.compile(r"^[a-z][a-z_]{0,39}$", re.ASCII)


class Fault(StrEnum):
    """Why a record's member is refused: what an import's report says."""

    REQUIRED = "required"
    UNKNOWN_MEMBER = "unknown_member"
    WRONG_TYPE = "wrong_type"
    NOT_IN_LIST = "not_in_list"
    OUT_OF_RANGE = "out_of_range"
    WRONG_FORM = "wrong_form"
    IN_FUTURE = "in_future"


class FieldError(Exception):
    """A member of a record isn't as its record type says. Carries the member's name and a code, never a value."""

    def __init__(self, member: str, code: Fault) -> None:
        super().__init__(member, code)
        self.member = member
        self.code = code


class Field(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="type"):
    """One member of a record."""

    name: Text
    required: bool = True

    def read(self, value: object, *, from_text: bool) -> Value | Fault:
        """The value in its stored form, or why it isn't one. ``from_text``: the value is CSV text."""
        raise NotImplementedError


class TextField(Field, frozen=True, tag="str"):
    """Text on one line. It can be shown to its subject, but no criterion tests it."""

    max_length: Annotated[int, Meta(ge=1, le=500)] = 100

    def read(self, value: object, *, from_text: bool) -> Value | Fault:
        if not isinstance(value, str):
            return Fault.WRONG_TYPE
        value = value.strip()
        if not 1 <= len(value) <= self.max_length:
            return Fault.OUT_OF_RANGE
        return Fault.WRONG_FORM if any(category(character) in _UNSEEN for character in value) else value


class Unit(Struct, frozen=True, forbid_unknown_fields=True):
    """What a count counts: ``6 个月``, ``6 months``, ``1 month``."""

    zh: Annotated[str, Meta(description="In Chinese, with its measure word.", examples=["个月"])]
    en: Annotated[str, Meta(description="In English, of several.", examples=["months"])]
    en_one: Annotated[str, Meta(description="In English, of one.", examples=["month"])]

    def count(self, number: int) -> Text:
        """So many of them."""
        return Text(f"{number} {self.zh}", f"{number} {self.en_one if number == 1 else self.en}")


class IntegerField(Field, frozen=True, tag="int"):
    """A count or a year, from ``min`` to ``max``, both included.

    A count has a ``unit``, and in ``counted`` the words that a threshold is put in: ``连续`` and ``in a row`` make
    ``连续不少于 6 个月`` and ``at least 6 months in a row``.
    """

    min: int
    max: int
    unit: Unit | None = None
    counted: Text | None = None

    def __post_init__(self) -> None:
        if (self.unit is None) != (self.counted is None):
            raise ValueError("a count has both `unit` and `counted`")

    def at_least(self, number: int) -> Text:
        """The threshold in words."""
        if self.unit is None or self.counted is None:
            return Text(f"{self.name.zh}不少于 {number}", f"{self.name.en}: at least {number}")
        many = self.unit.count(number)
        return Text(f"{self.counted.zh}不少于 {many.zh}", f"at least {many.en} {self.counted.en}")

    def read(self, value: object, *, from_text: bool) -> Value | Fault:
        if from_text and isinstance(value, str):
            if not _INTEGER.match(value.strip()):
                return Fault.WRONG_TYPE
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            return Fault.WRONG_TYPE
        return value if self.min <= value <= self.max else Fault.OUT_OF_RANGE


class EnumField(Field, frozen=True, tag="enum"):
    """One of the listed values. What isn't listed can't be stored: this is what keeps a record type positive."""

    values: Annotated[
        dict[Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+\-]{0,39}$")], Text], Meta(min_length=1)
    ]

    def read(self, value: object, *, from_text: bool) -> Value | Fault:
        if not isinstance(value, str):
            return Fault.WRONG_TYPE
        value = value.strip()
        return value if value in self.values else Fault.NOT_IN_LIST


class BooleanField(Field, frozen=True, tag="bool"):
    """A fact that is there. ``false`` can't be stored: absence is never recorded."""

    def read(self, value: object, *, from_text: bool) -> Value | Fault:
        if from_text and isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value)
        if not isinstance(value, bool):
            return Fault.WRONG_TYPE
        return True if value else Fault.NOT_IN_LIST


class DateField(Field, frozen=True, tag="date"):
    """A day. ``ends_validity``: the record counts until the end of that day, and no longer."""

    ends_validity: bool = False

    def read(self, value: object, *, from_text: bool) -> Value | Fault:
        if not isinstance(value, str):
            return Fault.WRONG_TYPE
        value = value.strip()
        if not _DATE.match(value):
            return Fault.WRONG_FORM
        try:
            day = date.fromisoformat(value)
        except ValueError:
            return Fault.WRONG_FORM
        return value if date(1949, 10, 1) <= day <= date(2199, 12, 31) else Fault.OUT_OF_RANGE


AnyField = TextField | IntegerField | EnumField | BooleanField | DateField


class Sensitivity(StrEnum):
    """How carefully a fact is handled."""

    PUBLIC = "public"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"
    """PIPL 28: needs written consent and a written necessity."""


class PublicWhen(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When a record of a personal type is public all the same: for one kind of subject, or for listed values."""

    subject_kind: SubjectKind | None = None
    field: str | None = None
    values: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if (self.subject_kind is None) == (self.field is None) or (self.field is None) != (not self.values):
            raise ValueError("say either `subject_kind`, or `field` with `values`")


class Refresh(StrEnum):
    """How often the source sends news."""

    DAILY = "daily"
    SEVEN_WORKING_DAYS = "seven_working_days"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    ON_EVENT = "on_event"
    ON_DEMAND = "on_demand"


class Origin(StrEnum):
    """Who holds the fact first: a public body, or a partner in the market."""

    PUBLIC = "public"
    MARKET = "market"


class RecordType(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One entry of the data list 信息事项.

    ``std_ref`` names the standard that defines the values, and stays empty unless someone has read it there.
    """

    code: Annotated[str, Meta(pattern="^[A-Z][A-Z0-9_]{1,31}$")]
    name: Text
    source: Text
    subject_kinds: Annotated[tuple[SubjectKind, ...], Meta(min_length=1)]
    polarity: Literal["positive"]
    """The platform has no other: a negative record type can't be declared."""
    origin: Origin
    refresh: Refresh
    sensitivity: Sensitivity
    public_when: PublicWhen | None = None
    suppressible: bool = False
    """Whether the subject may keep it off the record altogether."""
    identity: tuple[Name, ...] | None = None
    """Of what is suppressible: the fields that tell one fact from another, such as title and date of an honour; none of
    them where a subject has one such fact, whose count grows. What they keep off stays off when it is sent again."""
    enabled: bool = True
    std_ref: str = ""
    fields: Annotated[dict[Name, AnyField], Meta(min_length=1)]

    RESERVED: ClassVar = frozenset(
        {"record_type", "subject", "source", "source_ref", "observed_at", "valid_until", "region"}
    )
    """Members that every record has beside its fields."""

    def __post_init__(self) -> None:
        if taken := self.RESERVED & self.fields.keys():
            raise ValueError(f"`{min(taken)}` is a member of every record and can't be a field")
        if self.suppressible is (self.identity is None):
            raise ValueError("`identity` goes with `suppressible`: say both or neither")
        if not set(self.identity or ()) <= self.fields.keys():
            raise ValueError("`identity` names a field that the record type doesn't have")
        condition = self.public_when
        if condition is None:
            return
        if condition.subject_kind is not None and condition.subject_kind not in self.subject_kinds:
            raise ValueError("`public_when` names a subject kind that the record type doesn't have")
        if condition.field is not None:
            field = self.fields.get(condition.field)
            if field is None or any(
                isinstance(field.read(value, from_text=False), Fault) for value in condition.values
            ):
                raise ValueError("`public_when` names a field or a value that the record type doesn't have")

    def validate(
        self, fields: Mapping[str, object], *, from_text: bool = False, observed_on: date | None = None
    ) -> dict[str, Value]:
        """The fields of one record in their stored form.

        ``from_text`` reads CSV: numbers, booleans and dates arrive as text, and empty text means absent.
        ``observed_on`` is the day of observation: only an end of validity may lie after it.
        Raises :class:`FieldError` for the first member that is wrong.
        """
        for member in fields:
            if member not in self.fields:
                # A stray member's name might itself be data (a shifted CSV), so only a plain word is repeated.
                raise FieldError(member if _TELLABLE.match(member) else "fields", Fault.UNKNOWN_MEMBER)
        result: dict[str, Value] = {}
        for member, field in self.fields.items():
            given = fields.get(member)
            if given is None or (from_text and given == ""):
                if field.required:
                    raise FieldError(member, Fault.REQUIRED)
                continue
            value = field.read(given, from_text=from_text)
            if isinstance(value, Fault):
                raise FieldError(member, value)
            dated = isinstance(field, DateField) and not field.ends_validity
            if dated and observed_on is not None and date.fromisoformat(str(value)) > observed_on:
                raise FieldError(member, Fault.IN_FUTURE)
            result[member] = value
        return result

    def identify(self, fields: Mapping[str, Value]) -> list[Value | None]:
        """What tells this fact from others of the type, whatever the width, the case and the marks of its texts."""
        values = [fields.get(name) for name in self.identity or ()]
        return [_essence(value) if isinstance(value, str) else value for value in values]

    def ends_at(self, fields: Mapping[str, Value]) -> datetime | None:
        """When a record with these fields stops to count: the end of the earliest day that ends its validity.

        In UTC; ``None`` when nothing in the fields ends it.
        """
        days = [
            date.fromisoformat(str(fields[member]))
            for member, field in self.fields.items()
            if isinstance(field, DateField) and field.ends_validity and member in fields
        ]
        if not days:
            return None
        return datetime.combine(min(days) + timedelta(days=1), time(), CHINA_TIME).astimezone(UTC)

    def sensitivity_of(self, subject_kind: SubjectKind, fields: Mapping[str, Value]) -> Sensitivity:
        """How sensitive one record is: ``sensitivity``, unless ``public_when`` says that it is public."""
        condition = self.public_when
        if condition is not None and (
            condition.subject_kind is subject_kind
            or (condition.field is not None and fields.get(condition.field) in condition.values)
        ):
            return Sensitivity.PUBLIC
        return self.sensitivity


def _essence(text: str) -> str:
    """Its letters, marks and numbers, and the rare characters that are written by private use."""
    kept = (c for c in normalize("NFKC", text).casefold() if category(c)[0] in "LMN" or category(c) == "Co")
    return "".join(kept)


def shown(value: Value, field: Field | None) -> Text:
    """A value as people read it: a listed one by its name, a count or a band of counts with its unit."""
    if isinstance(field, EnumField) and value in field.values:
        return field.values[str(value)]
    if value is True:
        return Text("有", "yes")
    if isinstance(field, IntegerField) and field.unit is not None:
        if isinstance(value, int):
            return field.unit.count(value)
        return Text(f"{value} {field.unit.zh}", f"{value} {field.unit.en}")
    return Text(str(value), str(value))
