"""Synthetic facts: what cases and dry runs are made of. Times are relative, so that they never go stale."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

from ..catalogue.model import DateField, FieldError
from ..catalogue.service import Catalogue
from ..kernel.clock import CHINA_TIME
from ..kernel.errors import XinyiError
from ..records.model import Record

_RELATIVE_DAY: Final = re.compile(r"^([+-][0-9]{1,5})d$", re.ASCII)


class FactError(Exception):
    """A fact isn't as its record type says. ``member`` leads to what is wrong in fact number ``fact``."""

    def __init__(self, message: str, *member: str) -> None:
        super().__init__(message)
        self.message = message
        self.member = member
        self.fact = 0


class Fact(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One synthetic record."""

    record: Annotated[str, Meta(description="The record type's code.", examples=["SOCINS_PAID"])]
    fields: Annotated[
        dict[str, str | int | bool],
        Meta(
            description="The record's fields. A date may be relative to the moment of evaluation: `-1d`, `+90d`.",
            examples=[{"months": 12, "as_of": "-1d"}],
        ),
    ]
    observed: Annotated[
        str, Meta(pattern=r"^-[0-9]{1,5}d$", description="When it was observed, such as `-1d`.", examples=["-1d"])
    ] = "-1d"
    disputed: Annotated[bool, Meta(description="The subject disputes it.")] = False
    suppressed: Annotated[bool, Meta(description="The subject keeps it off the record.")] = False
    withheld: Annotated[bool, Meta(description="The subject withholds it from this scenario.")] = False

    def to_record(self, catalogue: Catalogue, at: datetime, source_ref: str) -> Record:
        """The record that this fact means at the moment ``at``. Raises :class:`FactError`."""
        try:
            record_type = catalogue.get(self.record)
        except XinyiError:
            raise FactError("there is no such record type", "record") from None
        if self.suppressed and not record_type.suppressible:
            raise FactError("records of this type can't be suppressed", "suppressed")
        observed_at = at + _days(self.observed)
        given: dict[str, object] = {
            member: _absolute(value, at) if isinstance(record_type.fields.get(member), DateField) else value
            for member, value in self.fields.items()
        }
        try:
            fields = record_type.validate(given, observed_on=observed_at.astimezone(CHINA_TIME).date())
        except FieldError as error:
            raise FactError(error.code.value, "fields", error.member) from None
        return Record(
            record_type=self.record,
            source="synthetic",
            source_ref=source_ref,
            observed_at=observed_at,
            valid_until=record_type.ends_at(fields),
            fields=fields,
            disputed=self.disputed,
            suppressed=self.suppressed,
            withheld=self.withheld,
        )


def _absolute(value: str | int | bool, at: datetime) -> object:
    if isinstance(value, str) and _RELATIVE_DAY.match(value):
        today: date = at.astimezone(CHINA_TIME).date()
        return (today + _days(value)).isoformat()
    return value


def _days(text: str) -> timedelta:
    return timedelta(days=int(text.removesuffix("d")))
