"""Identifiers: whatever is typed gives a stored form or a reason, and one slip of the pen is always noticed."""

from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from xinyi.sandbox import identities
from xinyi.subjects.identifiers import parse
from xinyi.subjects.model import Identifier, IdentifierRefused, SubjectKind

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

people = st.builds(
    identities.person,
    st.integers(0, 9999),
    st.dates(date(1900, 1, 1), date(2008, 11, 2)),
    st.integers(0, 999),
)
companies = st.builds(
    identities.company, st.integers(0, 9999), st.integers(0, 31**7 - 1), sole_proprietor=st.booleans()
)


@given(people | companies)
def test_a_valid_identifier_is_its_own_stored_form(identifier: Identifier) -> None:
    assert parse(identifier.value, NOW, identifier.kind) == identifier
    assert identifier.is_synthetic


@given(people | companies, st.data())
def test_case_separators_and_width_dont_matter(identifier: Identifier, data: st.DataObject) -> None:
    typed = "".join(
        data.draw(st.sampled_from((c, c.lower(), chr(ord(c) + 0xFEE0), c + " ", "-" + c))) for c in identifier.value
    )
    assert parse(typed, NOW, identifier.kind) == identifier


@given(people, st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_of_a_resident_id_is_noticed(identifier: Identifier, at: int, by: int) -> None:
    value = identifier.value
    wrong = value[:at] + str((int(value[at]) + by) % 10) + value[at + 1 :]
    assert _refused(wrong, SubjectKind.NATURAL_PERSON)


@given(companies, st.integers(0, 17), st.integers(1, 30))
def test_one_wrong_character_of_a_credit_code_is_noticed(identifier: Identifier, at: int, by: int) -> None:
    value = identifier.value
    wrong = value[:at] + USCC_ALPHABET[(USCC_ALPHABET.index(value[at]) + by) % 31] + value[at + 1 :]
    assert _refused(wrong, SubjectKind.LEGAL_PERSON)


@settings(max_examples=300)
@given(st.text(max_size=40) | st.text("0123456789XYAN", min_size=18, max_size=18))
def test_any_text_gives_an_identifier_or_a_reason(text: str) -> None:
    try:
        found = parse(text, NOW)
    except IdentifierRefused as refused:
        said = str(refused)
    else:
        said = repr(found)
        assert parse(found.value, NOW, found.kind) == found
    assert len(text) < 6 or text not in said


def _refused(text: str, kind: SubjectKind) -> bool:
    try:
        parse(text, NOW, kind)
    except IdentifierRefused:
        return True
    return False
