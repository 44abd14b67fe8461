"""Identifiers are found in free text however they are spelled, and reference numbers aren't taken for them."""

from datetime import UTC, date, datetime
from itertools import islice
from random import Random

import pytest

from xinyi.sandbox import identities
from xinyi.sandbox.generator import generate
from xinyi.subjects.scanning import holds_identifier

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
PERSON = "11010519491231002X"
COMPANY = "91110000710926094P"


@pytest.mark.parametrize(
    "text",
    [
        PERSON,
        PERSON.lower(),
        f"申请人{PERSON}已通过",
        f"ref-{PERSON}-2024",
        f"20240311{PERSON}7",
        "110105 19491231 002X",
        "110105-1949-1231-002x",
        "110105.19491231.002X",
        "110105_19491231_002X",
        "110105（1949）1231002X",
        "110105\u200b19491231\u00ad002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        "11010519491231002×",
        "11010519491231002Х",
        "①1010519491231002X",
        identities.person(1, date(1990, 5, 1), 7).value,
        COMPANY,
        f"ID{COMPANY}",
        f"NO:{COMPANY}/2024",
        f"许可（{COMPANY}）字",
        "9111-0000-7109-2609-4P",
        "９１１１００００７１０９２６０９４Ｐ",
        "N2110105MF1234567G",
        "11320100MB1886843H",
        identities.company(1, 7).value,
    ],
)
def test_an_identifier_is_found(text: str):
    assert holds_identifier(text, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "示例市示范企业",
        "110105194912310029",  # another check digit
        "91110000710926094Q",
        "11010519491231002",
        "京〔2024〕第110105号，1949年12月31日",
        "2024031191110000710926094701",  # a number that goes on
        "GB/T 39441-2020 GB/T 39446-2020",
    ],
)
def test_other_text_holds_none(text: str):
    assert not holds_identifier(text, NOW)


def test_the_subjects_own_identifier_is_found_even_amid_a_number():
    own = identities.company(1, 7)
    assert holds_identifier(f"00{own.value}00", NOW, own)


def test_few_reference_numbers_are_taken_for_one():
    """Numbers of every kind, none of which is an identifier: one in some thousands may be refused by mistake."""
    draw = Random(7)  # noqa: S311 (no secret)
    digits = ["".join(draw.choices("0123456789", k=draw.randrange(18, 31))) for _ in range(3000)]
    dated = [f"{draw.randrange(2009, 2027)}{draw.randrange(1232):04}{draw.randrange(10**10):010}" for _ in range(3000)]
    licences = [f"{draw.randrange(110000, 659000)}2024{draw.randrange(10**8):08}" for _ in range(3000)]
    hexadecimal = [f"{draw.getrandbits(128):032x}" for _ in range(3000)]
    mistaken = [text for text in (*digits, *dated, *licences, *hexadecimal) if holds_identifier(text, NOW)]
    assert len(mistaken) <= 6


def test_no_generated_row_holds_one():
    for row in islice(generate(10**6, 7, date(2026, 11, 2)), 20_000):
        texts = [row.source_ref, *(str(value) for value in row.fields.values())]
        assert not any(holds_identifier(text, NOW) for text in texts)
