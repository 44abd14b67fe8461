"""Uploads are read strictly, in three spellings that say the same; every item that can't be taken is pointed out."""

from io import BytesIO
from typing import Any

import msgspec
import pytest

from xinyi.batches import reading
from xinyi.batches.model import BatchFormat, BatchItem
from xinyi.batches.reading import SHOWN, read_items
from xinyi.checks.model import CheckRequest
from xinyi.kernel.errors import Code, XinyiError

JSON, NDJSON, CSV = BatchFormat
ITEMS = [
    {"scenario": "bike-deposit", "consent_id": "cns_1", "reference": "骑行-1"},
    {"scenario": "bike-deposit", "consent_id": "cns_2", "reference": 'A "quoted", one'},
]


def read(body: bytes, format_: BatchFormat) -> list[BatchItem]:
    return read_items(BytesIO(body), format_)


def refusal(body: bytes, format_: BatchFormat) -> XinyiError:
    with pytest.raises(XinyiError) as refused:
        read(body, format_)
    return refused.value


def ndjson(*items: Any) -> bytes:
    return b"".join(each if isinstance(each, bytes) else msgspec.json.encode(each) + b"\n" for each in items)


@pytest.mark.parametrize(
    ("body", "format_"),
    [
        pytest.param(msgspec.json.encode({"items": ITEMS}), JSON, id="json"),
        pytest.param(ndjson(*ITEMS), NDJSON, id="ndjson"),
        pytest.param(
            b"\xef\xbb\xbf" + ndjson(ITEMS[0], b"\n", b"  \r\n", ITEMS[1]).rstrip(), NDJSON, id="ndjson-loosely"
        ),
        pytest.param(
            "scenario,consent_id,reference\nbike-deposit,cns_1,骑行-1\n"
            'bike-deposit,cns_2,"A ""quoted"", one"\n'.encode(),
            CSV,
            id="csv",
        ),
        pytest.param(
            "\ufeffreference, scenario ,consent_id\r\n骑行-1,bike-deposit,cns_1\r\n\r\n"
            '"A ""quoted"", one",bike-deposit,cns_2'.encode(),
            CSV,
            id="csv-loosely",
        ),
    ],
)
def test_the_same_questions_can_be_spelled_in_three_ways(body: bytes, format_: BatchFormat) -> None:
    assert read(body, format_) == [BatchItem(number, CheckRequest(**each)) for number, each in enumerate(ITEMS, 1)]


BAD = [
    pytest.param(b"{not json}\n", "not_json", None, id="not-json"),
    pytest.param(b"[1]\n", "wrong_type", None, id="not-an-object"),
    pytest.param(b"\xff\xfe\n", "not_utf8", None, id="not-utf8"),
    pytest.param(b'"' + b"a" * 70_000 + b'"\n', "line_too_long", None, id="too-long"),
    pytest.param(b'{"scenario":"a","scenario":"b","consent_id":"c","reference":"d"}\n', "not_json", None, id="twice"),
    pytest.param({**ITEMS[0], "subject": "x"}, "unknown_member", None, id="unknown-member"),
    pytest.param({"scenario": "a", "consent_id": "b"}, "required", "reference", id="missing"),
    pytest.param({**ITEMS[0], "reference": None}, "wrong_type", "reference", id="null"),
    pytest.param({**ITEMS[0], "consent_id": 7}, "wrong_type", "consent_id", id="number"),
    pytest.param({**ITEMS[0], "reference": ""}, "wrong_form", "reference", id="empty"),
    pytest.param({**ITEMS[0], "reference": "a\nb"}, "wrong_form", "reference", id="line-break"),
    pytest.param({**ITEMS[0], "scenario": "a" * 65}, "wrong_form", "scenario", id="long"),
    pytest.param({**ITEMS[0], "consent_id": "a\x00"}, "wrong_form", "consent_id", id="nul"),
    pytest.param(
        b'{"scenario":"\\ud800","consent_id":"c","reference":"d"}\n', "wrong_form", "scenario", id="half-a-surrogate"
    ),
]


@pytest.mark.parametrize(("bad", "code", "member"), BAD)
def test_a_bad_item_is_pointed_out_by_number_line_and_member(bad: Any, code: str, member: str | None) -> None:
    error = refusal(ndjson(ITEMS[0], b"\n", bad, ITEMS[1]), NDJSON)

    assert error.code is Code.INVALID
    assert error.detail == "1 of 3 items can't be taken; nothing was stored"
    (found,) = error.errors
    assert (found.number, found.line, found.code) == (2, 3, code)
    assert found.member == (msgspec.UNSET if member is None else member)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        pytest.param(b"bike-deposit,cns_1\n", "wrong_cell_count", id="short"),
        pytest.param(b'bike-deposit,"cns_1,CASE-1\n', "not_csv", id="open-quote"),
        pytest.param(b"bike-deposit,cns_1,\n", "required", id="empty-cell"),
        pytest.param(b"bike-deposit,cns_1,\xff\n", "not_utf8", id="not-utf8"),
    ],
)
def test_a_bad_row_of_a_table_is_pointed_out_as_well(row: bytes, code: str) -> None:
    error = refusal(b"scenario,consent_id,reference\nbike-deposit,cns_1,CASE-1\n" + row, CSV)

    assert [(each.number, each.line, each.code) for each in error.errors] == [(2, 3, code)]


def test_in_a_document_there_are_no_lines() -> None:
    error = refusal(msgspec.json.encode({"items": [ITEMS[0], {}, 7]}), JSON)

    assert [(each.number, each.line, each.code) for each in error.errors] == [
        (2, msgspec.UNSET, "required"),
        (3, msgspec.UNSET, "wrong_type"),
    ]


def test_all_bad_items_are_counted_and_the_first_are_listed() -> None:
    error = refusal(ndjson(ITEMS[0], *([{}] * (SHOWN + 5))), NDJSON)

    assert error.detail == f"{SHOWN + 5} of {SHOWN + 6} items can't be taken; nothing was stored"
    assert len(error.errors) == SHOWN


@pytest.mark.parametrize(
    ("body", "format_", "code", "source"),
    [
        pytest.param(b"", NDJSON, Code.INVALID, None, id="empty"),
        pytest.param(b"\n\n", NDJSON, Code.INVALID, None, id="blank"),
        pytest.param(b'{"items":[]}', JSON, Code.INVALID, "/items", id="no-items"),
        pytest.param(b"{}", JSON, Code.INVALID, "/items", id="no-list"),
        pytest.param(b'{"items":[],"more":1}', JSON, Code.INVALID, "/more", id="another-member"),
        pytest.param(b'{"items":[', JSON, Code.MALFORMED, None, id="half-a-document"),
        pytest.param(b"", CSV, Code.INVALID, "header", id="no-header"),
        pytest.param(b"scenario,consent_id\n", CSV, Code.INVALID, "header", id="column-missing"),
        pytest.param(b"scenario,consent_id,reference,x\n", CSV, Code.INVALID, "header", id="column-unknown"),
        pytest.param(b"scenario,consent_id,reference\n", CSV, Code.INVALID, None, id="header-alone"),
    ],
)
def test_what_holds_no_items_is_refused(body: bytes, format_: BatchFormat, code: Code, source: str | None) -> None:
    error = refusal(body, format_)

    assert (error.code, error.source, error.errors) == (code, source, ())


def test_a_batch_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ITEMS", 3)

    assert len(read(ndjson(*[ITEMS[0]] * 3), NDJSON)) == 3
    assert refusal(ndjson(*[ITEMS[0]] * 4), NDJSON).code is Code.BODY_TOO_LARGE
