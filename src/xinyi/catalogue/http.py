"""``/v1/record-types``."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from msgspec import Meta, Struct

from ..kernel.text import Text
from ..subjects.model import SubjectKind
from ..web.caching import public
from ..web.envelope import Envelope
from .model import (
    BooleanField,
    DateField,
    EnumField,
    Field,
    IntegerField,
    Origin,
    RecordType,
    Refresh,
    Sensitivity,
    TextField,
    Unit,
)
from .service import Catalogue


class FieldView(Struct, frozen=True, omit_defaults=True):
    """One member of a record."""

    name: Annotated[str, Meta(description="The member's name.", examples=["grade"])]
    type: Annotated[str, Meta(description="`str`, `int`, `enum`, `bool` or `date`.", examples=["enum"])]
    label: Annotated[Text, Meta(description="What it is called.")]
    required: Annotated[bool, Meta(description="Whether every record has it.")]
    min: Annotated[int | None, Meta(description="The least number.")] = None
    max: Annotated[int | None, Meta(description="The greatest number.")] = None
    unit: Annotated[Unit | None, Meta(description="What a count counts.")] = None
    max_length: Annotated[int | None, Meta(description="The most characters.")] = None
    values: Annotated[dict[str, Text] | None, Meta(description="The values there are.")] = None
    ends_validity: Annotated[bool, Meta(description="Whether the record stops to count after this day.")] = False


class RecordTypeView(Struct, frozen=True):
    """One entry of the data list 数据清单."""

    code: Annotated[str, Meta(description="The stable code.", examples=["TAX_RATING"])]
    name: Annotated[Text, Meta(description="What the fact is called.")]
    source: Annotated[Text, Meta(description="Who supplies it.")]
    subject_kinds: Annotated[tuple[SubjectKind, ...], Meta(description="Whom it is about.")]
    origin: Annotated[Origin, Meta(description="Whether a public body or the market holds it first.")]
    refresh: Annotated[Refresh, Meta(description="How often the source sends news.")]
    sensitivity: Annotated[Sensitivity, Meta(description="How carefully it is handled.")]
    suppressible: Annotated[bool, Meta(description="Whether the subject may keep it off the record.")]
    enabled: Annotated[bool, Meta(description="Whether this installation records it.")]
    fields: Annotated[list[FieldView], Meta(description="The members of a record, in order.")]


@get(
    "/v1/record-types",
    tags=["Record types"],
    operation_id="listRecordTypes",
    summary="The data list: which positive facts are recorded",
)
async def list_record_types(
    request: Request[Any, Any, Any], catalogue: NamedDependency[Catalogue]
) -> Response[Envelope[list[RecordTypeView]]]:
    """Lists every record type with its fields, its source and how it is handled. Only positive facts have a type."""
    return public(request, Envelope([_view(record_type) for record_type in catalogue]))


def _view(record_type: RecordType) -> RecordTypeView:
    return RecordTypeView(
        code=record_type.code,
        name=record_type.name,
        source=record_type.source,
        subject_kinds=record_type.subject_kinds,
        origin=record_type.origin,
        refresh=record_type.refresh,
        sensitivity=record_type.sensitivity,
        suppressible=record_type.suppressible,
        enabled=record_type.enabled,
        fields=[_field_view(name, field) for name, field in record_type.fields.items()],
    )


def _field_view(name: str, field: Field) -> FieldView:
    match field:
        case IntegerField():
            return FieldView(name, "int", field.name, field.required, min=field.min, max=field.max, unit=field.unit)
        case EnumField():
            return FieldView(name, "enum", field.name, field.required, values=field.values)
        case DateField():
            return FieldView(name, "date", field.name, field.required, ends_validity=field.ends_validity)
        case TextField():
            return FieldView(name, "str", field.name, field.required, max_length=field.max_length)
        case BooleanField():
            return FieldView(name, "bool", field.name, field.required)
    raise AssertionError("every kind of field has its view")
