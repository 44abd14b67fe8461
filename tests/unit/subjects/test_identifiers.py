"""Identifiers are what the standards say, and nothing else (GB 32100-2015, GB 11643-1999)."""

from datetime import UTC, datetime

import pytest

from xinyi.subjects.identifiers import parse
from xinyi.subjects.model import Identifier, IdentifierProblem, IdentifierRefused, SubjectKind

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
LEGAL, NATURAL = SubjectKind.LEGAL_PERSON, SubjectKind.NATURAL_PERSON


def problem_of(text: str, kind: SubjectKind | None = None, now: datetime = NOW) -> IdentifierProblem:
    with pytest.raises(IdentifierRefused) as refused:
        parse(text, now, kind)
    assert not text or text not in str(refused.value)
    return refused.value.problem


def resident_id(first_seventeen: str) -> str:
    """With its check character (ISO 7064 mod 11-2, by the weights that GB 11643 prints)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return first_seventeen + "10X98765432"[sum(int(d) * w for d, w in zip(first_seventeen, weights, strict=True)) % 11]


def uscc(first_seventeen: str) -> str:
    """With its check character, by the formula that GB 32100 prints."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    total = sum(alphabet.index(c) * pow(3, i, 31) for i, c in enumerate(first_seventeen))
    return first_seventeen + alphabet[(31 - total % 31) % 31]


@pytest.mark.parametrize(
    "text",
    [
        "9144030071526726XG",
        "91110000710926094P",
        "91310000631696382C",
        "91110108551385082Q",
        "11320100MB1886843H",
        "N2110105MF1234567G",
    ],
)
def test_real_credit_codes_are_organisations(text: str) -> None:
    assert parse(text, NOW) == Identifier(LEGAL, text)


def test_the_sample_of_the_standard_is_a_person() -> None:
    assert parse("11010519491231002X", NOW) == Identifier(NATURAL, "11010519491231002X")


@pytest.mark.parametrize("region", ["810000", "820000", "830000"])
def test_residence_permits_are_persons(region: str) -> None:
    assert parse(resident_id(region + "19900307001"), NOW).kind is NATURAL


def test_a_county_that_no_list_knows_is_accepted() -> None:
    assert parse(resident_id("11999919900307001"), NOW).region == "119999"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" 91110000 71092609 4p ", "91110000710926094P"),
        ("９１１１００００７１０９２６０９４Ｐ", "91110000710926094P"),
        ("9111-0000-7109-2609-4P", "91110000710926094P"),
        ("110105 19491231 002x", "11010519491231002X"),
        ("１１０１０５１９４９１２３１００２Ｘ", "11010519491231002X"),
    ],
)
def test_case_blanks_and_full_width_are_folded(typed: str, stored: str) -> None:
    assert parse(typed, NOW).value == stored


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", IdentifierProblem.LENGTH),
        ("9111000071092609", IdentifierProblem.LENGTH),
        ("9" * 1_000_000, IdentifierProblem.LENGTH),
        ("91110000710926094Q", IdentifierProblem.CHECK_DIGIT),
        ("91110000710926O94P", IdentifierProblem.CHARACTERS),
        ("000000000000000000", IdentifierProblem.CHARACTERS),
        ("9A110000710926094P", IdentifierProblem.CHARACTERS),
        ("91110000710926094\0", IdentifierProblem.CHARACTERS),
        ("91110000710926094\ud800", IdentifierProblem.CHARACTERS),
        ("٩١١١٠٠٠٠٧١٠٩٢٦٠٩٤٩", IdentifierProblem.CHARACTERS),
        (uscc("91170000710926094"), IdentifierProblem.REGION),
        (uscc("91000000000000000"), IdentifierProblem.REGION),
    ],
)
def test_what_is_not_a_credit_code_says_why(text: str, problem: IdentifierProblem) -> None:
    assert problem_of(text, LEGAL) is problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("110105194912310021", IdentifierProblem.CHECK_DIGIT),
        ("1101051949123100XX", IdentifierProblem.CHARACTERS),
        ("1101051949123100²X", IdentifierProblem.CHARACTERS),
        (resident_id("17010519491231002"), IdentifierProblem.REGION),
        (resident_id("81010519491231002"), IdentifierProblem.REGION),
        (resident_id("11010519490230002"), IdentifierProblem.BIRTH_DATE),
        (resident_id("11010500000101002"), IdentifierProblem.BIRTH_DATE),
        (resident_id("11010520261103002"), IdentifierProblem.BIRTH_DATE),
    ],
)
def test_what_is_not_a_resident_id_says_why(text: str, problem: IdentifierProblem) -> None:
    assert problem_of(text, NATURAL) is problem


def test_one_is_old_enough_on_the_eighteenth_birthday() -> None:
    born = resident_id("11010520081103002")
    assert problem_of(born, now=datetime(2026, 11, 2, 15, 59, 59, tzinfo=UTC)) is IdentifierProblem.UNDER_AGE
    assert parse(born, datetime(2026, 11, 2, 16, 0, 0, tzinfo=UTC)).kind is NATURAL  # midnight in China


def test_born_on_a_leap_day_one_is_old_enough_on_the_first_of_march() -> None:
    born = resident_id("11010520080229002")
    assert problem_of(born, now=datetime(2026, 2, 28, 12, tzinfo=UTC)) is IdentifierProblem.UNDER_AGE
    assert parse(born, datetime(2026, 3, 1, 12, tzinfo=UTC)).kind is NATURAL


def test_an_identifier_of_the_other_kind_is_refused() -> None:
    assert problem_of("11010519491231002X", LEGAL) is IdentifierProblem.CHECK_DIGIT
    assert problem_of("9144030071526726XG", NATURAL) is IdentifierProblem.CHARACTERS


def test_digits_that_fit_both_kinds_are_a_person_unless_the_kind_is_told() -> None:
    both = next(
        text
        for serial in range(1000)
        if (text := resident_id(f"21210119800101{serial:03}")) == uscc(text[:17]) and text[-1] != "X"
    )
    assert parse(both, NOW).kind is NATURAL
    assert parse(both, NOW, NATURAL).kind is NATURAL
    assert parse(both, NOW, LEGAL).kind is LEGAL


@pytest.mark.parametrize("text", [resident_id("99010119900307001"), uscc("9199010155000001X")])
def test_made_up_identifiers_are_recognised_by_their_province(text: str) -> None:
    assert parse(text, NOW).is_synthetic


def test_real_identifiers_are_not_taken_for_made_up_ones() -> None:
    assert not parse("11010519491231002X", NOW).is_synthetic
    assert not parse("91110000710926094P", NOW).is_synthetic


def test_a_sole_proprietor_is_personal_information() -> None:
    assert parse(uscc("92440300MA5ABCDE1"), NOW).is_personal
    assert parse("11010519491231002X", NOW).is_personal
    assert not parse("91110000710926094P", NOW).is_personal


def test_an_identifier_never_shows_its_value() -> None:
    identifier = parse("11010519491231002X", NOW)
    assert "1949" not in f"{identifier} {identifier!r} {[identifier]}"
