"""What a record type lets in."""

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from xinyi.catalogue.model import Fault, FieldError, IntegerField, RecordType, Sensitivity, Unit
from xinyi.catalogue.service import Catalogue
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Text
from xinyi.subjects.model import SubjectKind

CATALOGUE = Catalogue.load()


def fault(code: str, fields: dict[str, Any], **options: Any) -> tuple[str, Fault]:
    with pytest.raises(FieldError) as caught:
        CATALOGUE.get(code).validate(fields, **options)
    return caught.value.member, caught.value.code


def test_typed_values_are_taken_as_they_are() -> None:
    fields = {"year": 2025, "grade": "A"}
    assert CATALOGUE.get("TAX_RATING").validate(fields) == fields


def test_csv_text_becomes_typed_values() -> None:
    assert CATALOGUE.get("SOCINS_PAID").validate({"months": " 12", "as_of": "2026-10-01"}, from_text=True) == {
        "months": 12,
        "as_of": "2026-10-01",
    }
    assert CATALOGUE.get("PROPERTY").validate({"has_registered": "TRUE"}, from_text=True) == {"has_registered": True}


def test_empty_csv_text_means_absent() -> None:
    licence = {"number": "1", "name": "a", "kind": "general", "decided_on": "2026-01-01", "authority": "b"}
    assert CATALOGUE.get("LICENCE").validate({**licence, "valid_to": ""}, from_text=True) == licence


@pytest.mark.parametrize("grade", ["C", "D", "a", ""])
def test_a_negative_grade_cannot_be_stored(grade: str) -> None:
    assert fault("TAX_RATING", {"year": 2025, "grade": grade}) == ("grade", Fault.NOT_IN_LIST)


def test_an_absence_cannot_be_stored() -> None:
    assert fault("PROPERTY", {"has_registered": False}) == ("has_registered", Fault.NOT_IN_LIST)
    assert fault("SOCINS_PAID", {"months": 0, "as_of": "2026-10-01"}) == ("months", Fault.OUT_OF_RANGE)


def test_a_commitment_counts_only_when_it_was_kept() -> None:
    made = {"kind": "voluntary", "code": "1", "date": "2026-01-01", "acceptor": "a"}
    assert fault("COMMITMENT", made) == ("fulfilled_on", Fault.REQUIRED)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("months", Fault.REQUIRED)),
        ({"months": None, "as_of": "2026-10-01"}, ("months", Fault.REQUIRED)),
        ({"months": 1.5, "as_of": "2026-10-01"}, ("months", Fault.WRONG_TYPE)),
        ({"months": True, "as_of": "2026-10-01"}, ("months", Fault.WRONG_TYPE)),
        ({"months": "12", "as_of": "2026-10-01"}, ("months", Fault.WRONG_TYPE)),
        ({"months": 10**30, "as_of": "2026-10-01"}, ("months", Fault.OUT_OF_RANGE)),
        ({"months": 12, "as_of": "2026-02-30"}, ("as_of", Fault.WRONG_FORM)),
        ({"months": 12, "as_of": "20261001"}, ("as_of", Fault.WRONG_FORM)),
        ({"months": 12, "as_of": "0001-01-01"}, ("as_of", Fault.OUT_OF_RANGE)),
        ({"months": 12, "as_of": 20261001}, ("as_of", Fault.WRONG_TYPE)),
        ({"months": 12, "as_of": "2026-10-01", "balance": 1}, ("balance", Fault.UNKNOWN_MEMBER)),
    ],
)
def test_a_refusal_names_the_member_and_a_code(fields: dict[str, Any], expected: tuple[str, Fault]) -> None:
    assert fault("SOCINS_PAID", fields) == expected


@pytest.mark.parametrize("text", ["1.0", "1e3", "+1", "0x1", "１２", "1_000", "", "9" * 30])
def test_a_number_in_csv_is_digits_and_nothing_else(text: str) -> None:
    member, code = fault("SOCINS_PAID", {"months": text, "as_of": "2026-10-01"}, from_text=True)
    assert member == "months"
    assert code in {Fault.WRONG_TYPE, Fault.REQUIRED}


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\x1bb", "a\u202eb", "a\ud800b"])
def test_text_stays_on_one_line_and_can_be_printed(text: str) -> None:
    honour = {"title": text, "level": "municipal", "date": "2026-01-01"}
    assert fault("HONOUR", honour) == ("title", Fault.WRONG_FORM)


@pytest.mark.parametrize("text", ["全国　文明", "\U000323b0", "\ue000", "a b–c（d）"])
def test_what_names_are_written_with_is_let_in(text: str) -> None:
    honour = {"title": f" {text} ", "level": "municipal", "date": "2026-01-01"}
    assert CATALOGUE.get("HONOUR").validate(honour)["title"] == text


def test_a_stray_member_that_might_be_data_is_not_repeated() -> None:
    fields = {"months": 12, "as_of": "2026-10-01", "11010519491231002X": "x"}
    member, code = fault("SOCINS_PAID", fields)
    assert (member, code) == ("fields", Fault.UNKNOWN_MEMBER)


def test_a_refusal_never_carries_the_value() -> None:
    with pytest.raises(FieldError) as caught:
        CATALOGUE.get("TAX_RATING").validate({"year": 2025, "grade": "SECRET"})
    assert "SECRET" not in repr(caught.value) + str(caught.value)


def test_only_an_end_of_validity_may_lie_after_the_observation() -> None:
    day = date(2026, 6, 1)
    fields = {"list": "tax", "from": "2026-06-02", "to": "2027-06-01"}
    assert fault("REDLIST", fields, observed_on=day) == ("from", Fault.IN_FUTURE)
    CATALOGUE.get("REDLIST").validate({**fields, "from": "2026-06-01"}, observed_on=day)


def test_a_record_counts_until_the_end_of_its_last_day_in_china() -> None:
    redlist = CATALOGUE.get("REDLIST")
    assert redlist.ends_at({"list": "tax", "from": "2026-01-01", "to": "2026-12-31"}) == datetime(
        2026, 12, 31, 16, tzinfo=UTC
    )
    assert CATALOGUE.get("TAX_RATING").ends_at({"year": 2025, "grade": "A"}) is None


@pytest.mark.parametrize(
    ("code", "member"),
    [("REDLIST", "to"), ("LICENCE", "valid_to"), ("TECH_CERT", "valid_to"), ("PRO_QUAL", "valid_to")],
)
def test_ends_of_validity_are_declared(code: str, member: str) -> None:
    assert CATALOGUE.get(code).ends_at({member: "2026-12-31"}) is not None


def test_sensitivity_may_depend_on_the_value_or_the_subject() -> None:
    company, person = SubjectKind.LEGAL_PERSON, SubjectKind.NATURAL_PERSON
    tax, licence = CATALOGUE.get("TAX_RATING"), CATALOGUE.get("LICENCE")
    assert tax.sensitivity_of(company, {"grade": "A"}) is Sensitivity.PUBLIC
    assert tax.sensitivity_of(company, {"grade": "B"}) is Sensitivity.PERSONAL
    assert licence.sensitivity_of(company, {}) is Sensitivity.PUBLIC
    assert licence.sensitivity_of(person, {}) is Sensitivity.PERSONAL
    assert CATALOGUE.get("BLOOD").sensitivity_of(person, {}) is Sensitivity.SENSITIVE


def test_an_unknown_record_type_is_not_found() -> None:
    with pytest.raises(XinyiError) as caught:
        CATALOGUE.get("NOPE")
    assert caught.value.code is Code.NOT_FOUND
    assert "NOPE" not in CATALOGUE


def test_every_refusal_is_an_answer_for_any_json_value() -> None:
    for record_type in CATALOGUE:
        values: list[Any] = [None, [], {}, 0, -1, 1.5, "", "x", True, "\x00", 10**40]
        for value in values:
            fields = dict.fromkeys(record_type.fields, value)
            with suppress(FieldError):
                stored = record_type.validate(fields)
                assert stored == record_type.validate(stored)


def test_a_record_type_is_made_of_its_file_alone() -> None:
    for record_type in CATALOGUE:
        assert msgspec.convert(msgspec.to_builtins(record_type), RecordType) == record_type


@pytest.mark.parametrize(
    ("code", "member", "number", "zh", "en"),
    [
        ("SOCINS_PAID", "months", 6, "连续不少于 6 个月", "at least 6 months in a row"),
        ("CONTRACT_PERF", "count", 1, "已履行合同不少于 1 份", "at least 1 contract performed"),
        ("TAX_RATING", "year", 2024, "评价年度不少于 2024", "year assessed: at least 2024"),
    ],
)
def test_a_threshold_is_put_into_words_with_its_unit(code: str, member: str, number: int, zh: str, en: str) -> None:
    field = Catalogue.load().get(code).fields[member]
    assert isinstance(field, IntegerField)
    assert field.at_least(number) == Text(zh, en)


def test_a_unit_comes_with_the_words_of_a_threshold() -> None:
    with pytest.raises(ValueError, match="both"):
        IntegerField(name=Text("次数", "times"), min=1, max=9, unit=Unit("次", "times", "time"))
