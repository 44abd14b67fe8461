"""Scenarios as their files say them. Pure.

Every Struct omits its defaults, so that a scenario's canonical form, and with it its digest, stays the same when the
format later gains an optional member.
"""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from msgspec import Meta, Struct

from ..kernel.canonical import digest
from ..kernel.text import Text
from ..subjects.model import SubjectKind

Slug = Annotated[str, Meta(pattern="^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
Value = str | int | bool
"""A record's field; a date is its ISO 8601 text."""


class Outcome(StrEnum):
    """All that is ever said about a scenario or a criterion."""

    MET = "met"
    NOT_EVIDENCED = "not_evidenced"


class Disclose(StrEnum):
    """What a partner may learn about one criterion beside the overall outcome."""

    NONE = "none"
    OUTCOME = "outcome"
    BAND = "band"
    """Its outcome, and the band that a number falls into."""
    VALUE = "value"
    """Its outcome, and a field as the source gave it."""


class Condition(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, rename={"in_": "in"}
):
    """What one field must be: exactly one of the three."""

    at_least: int | None = None
    in_: tuple[str | int, ...] = ()
    present: bool = False

    def __post_init__(self) -> None:
        if [self.at_least is not None, bool(self.in_), self.present].count(True) != 1:
            raise ValueError("say exactly one of `at_least`, `in` and `present: true`")

    def holds(self, value: Value | None) -> bool:
        """Whether a record with this value (``None``: without the field) satisfies the condition. Total."""
        if value is None:
            return False
        if self.at_least is not None:
            return isinstance(value, int) and not isinstance(value, bool) and value >= self.at_least
        if self.in_:
            return any(type(value) is type(listed) and value == listed for listed in self.in_)
        return value is not False


class Criterion(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One published condition 判定条件: some current record of the type satisfies every condition of ``test``.

    ``fields`` are disclosed as they are, ``bands`` as the band between the lower bounds listed for the field.
    ``max_age`` is how long after its observation a record still counts.
    """

    id: Slug
    record: str
    test: dict[str, Condition] = {}
    max_age: timedelta
    necessity: Text
    """Why the scenario needs the fact, for the subject to read (PIPL 6, 30)."""
    disclose: Disclose = Disclose.NONE
    fields: tuple[str, ...] = ()
    bands: dict[str, Annotated[tuple[int, ...], Meta(min_length=1)]] = {}
    disclosure_reason: Text | None = None
    """Why the overall outcome alone isn't enough for the partner."""

    def __post_init__(self) -> None:
        if not timedelta() < self.max_age <= timedelta(days=3660) or self.max_age % timedelta(days=1):
            raise ValueError("`max_age` must be whole days, at most 3660d")
        if bool(self.fields) != (self.disclose is Disclose.VALUE):
            raise ValueError("`fields` go with `disclose: value`, and with nothing else")
        if bool(self.bands) != (self.disclose is Disclose.BAND):
            raise ValueError("`bands` go with `disclose: band`, and with nothing else")
        if (self.disclosure_reason is None) != (self.disclose is Disclose.NONE):
            raise ValueError("what is disclosed beside the overall outcome needs a `disclosure_reason`, and only that")
        if len(set(self.fields)) != len(self.fields):
            raise ValueError("a field stands twice in `fields`")
        for field in (*self.fields, *self.bands):
            if field not in self.test:
                raise ValueError(f"the test doesn't use `{field}`, so it can't be disclosed")
        for field, bounds in self.bands.items():
            if list(bounds) != sorted(set(bounds)):
                raise ValueError(f"the lower bounds of `{field}` must rise")
            if bounds[0] != self.test[field].at_least:
                raise ValueError(f"the first lower bound of `{field}` must be what the test asks for with `at_least`")

    @property
    def disclosed_fields(self) -> tuple[str, ...]:
        """The fields that may be disclosed, as they are or as bands."""
        return (*self.fields, *self.bands)

    @property
    def units(self) -> frozenset[str]:
        """What the criterion may disclose: ``id`` for its outcome, ``id.field`` for a field."""
        if self.disclose is Disclose.NONE:
            return frozenset()
        return frozenset({self.id, *(f"{self.id}.{field}" for field in self.disclosed_fields)})


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """``all_of`` or ``any_of`` criteria and further rules."""

    all_of: tuple["str | Rule", ...] = ()
    any_of: tuple["str | Rule", ...] = ()

    def __post_init__(self) -> None:
        if bool(self.all_of) == bool(self.any_of):
            raise ValueError("say either `all_of` or `any_of`, with at least one item")
        if len(self.any_of) == 1:
            raise ValueError("`any_of` one thing is no choice: use `all_of`")

    @property
    def items(self) -> tuple["str | Rule", ...]:
        return self.all_of or self.any_of

    def criteria(self) -> Iterator[str]:
        """The ids of the criteria used, in order, as often as they are used."""
        for item in self.items:
            if isinstance(item, str):
                yield item
            else:
                yield from item.criteria()


class ConsentForm(StrEnum):
    SEPARATE = "separate"
    """单独同意 (PIPL 23)."""
    WRITTEN = "written"
    """书面同意 (PIPL 29; 征信业管理条例 18)."""


class Uses(StrEnum):
    ONCE = "once"
    RECURRING = "recurring"


class ConsentTerms(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The consent that the scenario asks for."""

    form: ConsentForm
    max_days: Annotated[int, Meta(ge=1, le=365)]
    """Days until it ends by itself; never more than a year."""
    uses: Uses


class Explanation(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What each outcome means, for the subject to read (PIPL 24)."""

    met: Text
    not_evidenced: Text


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, dict=True):
    """One version of one application scenario 应用场景."""

    id: Slug
    version: Annotated[int, Meta(ge=1, le=9999)]
    published: bool = True
    """``false`` takes this version out of use: consents to it have to be asked for again."""
    name: Text
    partner_kinds: Annotated[tuple[Slug, ...], Meta(min_length=1)]
    subject_kind: SubjectKind
    purpose: Text
    legal_basis: Text
    incentive: Text
    fallback: Text
    """What stays open to a subject who refuses (PIPL 16)."""
    criteria: Annotated[tuple[Criterion, ...], Meta(min_length=1, max_length=40)]
    rule: Rule
    answer_ttl: timedelta
    """How long an answer stands, from ``as_of``; never computed from records, whose dates it would reveal."""
    consent: ConsentTerms
    retention_days: Annotated[int, Meta(ge=1, le=1830)]
    """Days for which the partner may keep the answer."""
    explanation: Explanation
    pia_ref: Annotated[str, Meta(min_length=1, max_length=100)]
    """Where the personal information protection impact assessment lies (PIPL 55): no publication without it."""

    def __post_init__(self) -> None:
        if not timedelta() < self.answer_ttl <= timedelta(days=31):
            raise ValueError("`answer_ttl` must be longer than nothing and at most 31d")
        ids = [criterion.id for criterion in self.criteria]
        used = list(self.rule.criteria())
        for criterion in ids:
            if ids.count(criterion) > 1:
                raise ValueError(f"the criterion `{criterion}` stands here twice")
            if used.count(criterion) != 1:
                raise ValueError(f"the rule must use the criterion `{criterion}` exactly once")
        for criterion in used:
            if criterion not in ids:
                raise ValueError(f"the rule uses `{criterion}`, which is no criterion")

    @cached_property
    def digest(self) -> str:
        """``sha-256:…`` of the canonical form: the same for the same content, however the file is laid out."""
        return digest(self)

    @cached_property
    def units(self) -> frozenset[str]:
        """Everything an answer may disclose beside the overall outcome."""
        return frozenset().union(*(criterion.units for criterion in self.criteria))

    @cached_property
    def record_types(self) -> frozenset[str]:
        """The codes of the record types that the criteria look at."""
        return frozenset(criterion.record for criterion in self.criteria)

    def criterion(self, criterion_id: str) -> Criterion:
        """The criterion with this id. Raises ``KeyError``."""
        for criterion in self.criteria:
            if criterion.id == criterion_id:
                return criterion
        raise KeyError(criterion_id)
