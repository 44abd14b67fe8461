"""Imports take what the data list allows, row by row, and say what became of each row."""

import io
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from stdnum.cn import uscc

from tests.unit.records.conftest import COMPANY, OTHER, Desk, ndjson, row
from xinyi.kernel.errors import Code, XinyiError
from xinyi.records.model import RecordBatch, RowVerdict, Verdict
from xinyi.records.rows import Format
from xinyi.records.tables import records
from xinyi.sandbox import identities
from xinyi.storage.database import Database
from xinyi.subjects.model import SubjectKind

pytestmark = pytest.mark.anyio

REFUSE = {
    "sqlite": (
        [
            """CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.source_ref = 'ref-7'
            BEGIN SELECT RAISE(ABORT, 'no'); END"""
        ],
        ["DROP TRIGGER refuse"],
    ),
    "postgresql": (
        [
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.source_ref = 'ref-7' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$""",
            "CREATE TRIGGER refuse BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION refuse()",
        ],
        ["DROP TRIGGER refuse ON records", "DROP FUNCTION refuse"],
    ),
}
HEADER = "subject,record_type,source_ref,region,observed_at,valid_until,fields.months,fields.as_of"


def rejected(line: int, code: str, member: str | None = None) -> RowVerdict:
    return RowVerdict(line, Verdict.REJECTED, member, code)


async def test_a_row_is_stored_as_the_source_gave_it(desk: Desk) -> None:
    assert await desk.verdict(row(valid_until="2027-03-31")) == RowVerdict(1, Verdict.ACCEPTED)
    [stored] = await desk.of(COMPANY)
    assert stored.id.startswith("rec_")
    assert stored.source_id == "bureau"
    assert stored.fields == {"months": 12, "as_of": "2026-09-30"}
    assert stored.observed_at.isoformat() == "2026-10-28T01:00:00+00:00"
    assert stored.valid_until is not None
    assert stored.valid_until.isoformat() == "2027-03-31T16:00:00+00:00"  # the end of that day in China


async def test_the_same_row_again_changes_nothing(desk: Desk) -> None:
    await desk.send([row()])
    before = await desk.of(COMPANY)
    assert await desk.verdict(row()) == RowVerdict(1, Verdict.UNCHANGED)
    assert await desk.of(COMPANY) == before


async def test_the_newest_observation_stands_whatever_the_order(desk: Desk) -> None:
    old = row(observed_at="2026-09-28", fields={"months": 11, "as_of": "2026-08-31"})
    new = row()
    assert (await desk.verdict(old)).verdict is Verdict.ACCEPTED
    assert (await desk.verdict(new)).verdict is Verdict.UPDATED
    assert (await desk.verdict(old)).verdict is Verdict.SUPERSEDED
    [stored] = await desk.of(COMPANY)
    assert stored.fields["months"] == 12


async def test_later_rows_of_a_file_see_earlier_ones(desk: Desk) -> None:
    old = row(observed_at="2026-09-28", fields={"months": 11, "as_of": "2026-08-31"})
    verdicts = [each.verdict for each in await desk.verdicts([old, row(), row(), old])]
    assert verdicts == [Verdict.ACCEPTED, Verdict.UPDATED, Verdict.UNCHANGED, Verdict.SUPERSEDED]
    [stored] = await desk.of(COMPANY)
    assert stored.fields["months"] == 12


async def test_other_content_of_the_same_moment_is_told_and_changes_nothing(desk: Desk) -> None:
    await desk.send([row()])
    other = row(fields={"months": 13, "as_of": "2026-09-30"})
    assert await desk.verdict(other) == rejected(1, "observation_conflict", "observed_at")
    [stored] = await desk.of(COMPANY)
    assert stored.fields["months"] == 12


async def test_a_source_ref_stays_with_its_subject(desk: Desk) -> None:
    await desk.send([row()])
    moved = row(subject=OTHER.value, observed_at="2026-10-30")
    assert await desk.verdict(moved) == rejected(1, "subject_changed", "source_ref")
    assert await desk.of(OTHER) == []


async def test_a_source_ref_stays_with_its_record_type(desk: Desk) -> None:
    await desk.send([row()])
    assert await desk.verdict(row(record_type="HPF_PAID", observed_at="2026-10-30")) == rejected(
        1, "record_type_changed", "record_type"
    )


async def test_two_sources_may_use_the_same_ref(desk: Desk) -> None:
    await desk.add_source("fund", "HPF_PAID")
    await desk.send([row()])
    assert [v.verdict for v in await desk.verdicts([row(record_type="HPF_PAID")], source="fund")] == [Verdict.ACCEPTED]
    assert len(await desk.of(COMPANY)) == 2


async def test_the_validity_ends_with_whichever_end_comes_first(desk: Desk) -> None:
    fields = {"list": "tax", "from": "2026-01-01", "to": "2026-12-31"}
    redlist = {"record_type": "REDLIST", "fields": fields}
    await desk.send(
        [
            row(**redlist, source_ref="a"),
            row(**redlist, source_ref="b", valid_until="2026-11-30"),
            row(**redlist, source_ref="c", valid_until="2027-11-30"),
        ]
    )
    ends = {each.source_ref: each.valid_until for each in await desk.of(COMPANY)}
    assert {ref: end and end.isoformat() for ref, end in ends.items()} == {
        "a": "2026-12-31T16:00:00+00:00",
        "b": "2026-11-30T16:00:00+00:00",
        "c": "2026-12-31T16:00:00+00:00",
    }


BAD_ROWS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"record_type": "NO_SUCH"}, "record_type_unknown", "record_type"),
    ({"record_type": "PATENT", "fields": {"count": 1}}, "record_type_of_others", "record_type"),
    ({"record_type": "BLOOD", "fields": {"count_band": "t1-2"}}, "record_type_disabled", "record_type"),
    ({"record_type": "TAX_RATING", "fields": {"year": 2025, "grade": "C"}}, "not_in_list", "fields.grade"),
    ({"record_type": "TAX_RATING", "subject_kind": "natural_person"}, "subject_kind_mismatch", "subject_kind"),
    ({"subject": "91110000710926094Q"}, "identifier_check_digit", "subject"),
    ({"subject": ""}, "identifier_length", "subject"),
    ({"subject": 7}, "wrong_type", "subject"),
    ({"subject": None}, "wrong_type", "subject"),
    ({"subject_kind": "robot"}, "not_in_list", "subject_kind"),
    ({"region": "1101"}, "region_unknown", "region"),
    ({"region": "180000"}, "region_unknown", "region"),
    ({"region": "１１０１０５"}, "region_unknown", "region"),
    ({"observed_at": "2026-11-02T08:00:01Z"}, "in_future", "observed_at"),
    ({"observed_at": "2026-10-28T09:00:00"}, "wrong_form", "observed_at"),
    ({"observed_at": "yesterday"}, "wrong_form", "observed_at"),
    ({"observed_at": "2026-02-30"}, "wrong_form", "observed_at"),
    ({"observed_at": "0001-01-01T00:00:00+14:00"}, "out_of_range", "observed_at"),
    ({"observed_at": "1900-01-01"}, "out_of_range", "observed_at"),
    ({"valid_until": "9999-12-31"}, "wrong_form", "valid_until"),
    ({"valid_until": "9999-12-31T23:59:59-14:00"}, "out_of_range", "valid_until"),
    ({"valid_until": "2026-10-27"}, "ends_before_observed", "valid_until"),
    ({"source_ref": ""}, "out_of_range", "source_ref"),
    ({"source_ref": "x" * 129}, "out_of_range", "source_ref"),
    ({"source_ref": "a\u0000b"}, "wrong_form", "source_ref"),
    ({"source_ref": " a"}, "wrong_form", "source_ref"),
    ({"source_ref": f"ref-{COMPANY.value.lower()}"}, "holds_identifier", "source_ref"),
    ({"fields": {"months": 12}}, "required", "fields.as_of"),
    ({"fields": {"months": "12", "as_of": "2026-09-30"}}, "wrong_type", "fields.months"),
    ({"fields": {"months": True, "as_of": "2026-09-30"}}, "wrong_type", "fields.months"),
    ({"fields": {"months": 12.0, "as_of": "2026-09-30"}}, "wrong_type", "fields.months"),
    ({"fields": {"months": 0, "as_of": "2026-09-30"}}, "out_of_range", "fields.months"),
    ({"fields": {"months": 10**30, "as_of": "2026-09-30"}}, "out_of_range", "fields.months"),
    ({"fields": {"months": [1], "as_of": "2026-09-30"}}, "wrong_type", "fields.months"),
    ({"fields": {"months": 12, "as_of": "2026-10-29"}}, "in_future", "fields.as_of"),
    ({"fields": {"months": 12, "as_of": "2026-09-30", "arrears": 3}}, "unknown_member", "fields.arrears"),
    ({"fields": {"months": 12, "as_of": "2026-09-30", COMPANY.value: 3}}, "unknown_member", "fields"),
    ({"fields": []}, "wrong_type", "fields"),
    ({"note": "hello"}, "unknown_member", None),
    (
        {"record_type": "HONOUR", "fields": {"title": "a\u0000b", "level": "county", "date": "2026-01-01"}},
        "wrong_form",
        "fields.title",
    ),
    (
        {"record_type": "HONOUR", "fields": {"title": COMPANY.value, "level": "county", "date": "2026-01-01"}},
        "holds_identifier",
        "fields.title",
    ),
    (
        {"record_type": "HONOUR", "fields": {"title": OTHER.value, "level": "county", "date": "2026-01-01"}},
        "holds_identifier",
        "fields.title",
    ),
    ({"source_ref": "110105 19491231-002x"}, "holds_identifier", "source_ref"),
    (
        {"record_type": "HONOUR", "fields": {"title": "无失信记录企业", "level": "county", "date": "2026-01-01"}},
        "negative_text",
        "fields.title",
    ),
    ({"source_ref": "处罚-2026-1"}, "negative_text", "source_ref"),
    ({"subject": "9144030071526726XG"}, "identifier_not_synthetic", "subject"),
]


@pytest.mark.parametrize(("changes", "code", "member"), BAD_ROWS)
async def test_a_bad_row_is_told_by_member_and_code(
    desk: Desk, changes: dict[str, Any], code: str, member: str | None
) -> None:
    assert await desk.verdict(row(**changes)) == rejected(1, code, member)
    assert await desk.of(COMPANY) == []


@pytest.mark.parametrize("member", ["subject", "record_type", "source_ref", "region", "observed_at", "fields"])
async def test_a_missing_member_is_named(desk: Desk, member: str) -> None:
    lacking = row()
    del lacking[member]
    assert await desk.verdict(lacking) == rejected(1, "required", member)


async def test_a_bad_line_never_stops_good_ones(desk: Desk) -> None:
    def good(number: int) -> bytes:
        return ndjson([row(source_ref=f"good-{number}")])

    lines: list[tuple[bytes, tuple[Any, ...] | None]] = [
        (good(1), None),
        (b"{not json\n", ("not_json",)),
        (b"\xff\xfe broken\n", ("not_utf8",)),
        (b'{"subject": "\xed\xa0\x80"}\n', ("not_utf8",)),
        (ndjson([row()]).replace(b"ref-1", rb"\ud800"), ("wrong_form", "source_ref")),
        (ndjson([row()]).replace(b"2026-10-28T09:00:00+08:00", rb"\ud800"), ("wrong_form", "observed_at")),
        (ndjson([row()]).replace(b"2026-10-28T09:00:00+08:00", rb"2026-10-2\ud800"), ("wrong_form", "observed_at")),
        (b"[" * 60_000 + b"\n", ("not_json",)),
        (b"x" * 1_000_000 + b"\n", ("line_too_long",)),
        (b"null\n", ("wrong_type",)),
        (b'"text"\n', ("wrong_type",)),
        (b"NaN\n", ("not_json",)),
        (b'{"subject": "a", "subject": "b"}\n', ("not_json",)),
        (ndjson([row()]).replace(b"{", b'{"region": "990001", ', 1), ("not_json",)),
        (ndjson([row()]).replace(b"{", b'{"region": null, ', 1), ("not_json",)),
        (ndjson([row()]).replace(b'"fields":{', b'"fields":{"months":7,'), ("not_json",)),
        (ndjson([row()]).replace(b'"fields":{', b'"fields":{"a":[{"b":1,"b":1}],'), ("not_json",)),
        (
            ndjson([row(fields={"months": 7})]).replace(b":7}", b":1" + b"0" * 30 + b"}"),
            ("out_of_range", "fields.months"),
        ),
        (ndjson([row(fields={"months": 7.0})]), ("wrong_type", "fields.months")),
        (b"\0\n", ("not_json",)),
        (good(2).rstrip(b"\n") + b" trailing\n", ("not_json",)),
        (good(3), None),
        (b"\n", ()),
        (b"  \r\n", ()),
        (good(4).rstrip(b"\n"), None),
    ]
    verdicts = await desk.verdicts(b"".join(line for line, _ in lines))
    expected = [
        RowVerdict(number, Verdict.ACCEPTED) if told is None else rejected(number, *told)
        for number, (_, told) in enumerate(lines, 1)
        if told != ()
    ]
    assert verdicts == expected
    assert len(await desk.of(COMPANY)) == 3


@pytest.fixture
async def refusing(database: Database) -> AsyncIterator[None]:
    """The database itself refuses ref-7."""
    make, undo = REFUSE["sqlite" if database.is_sqlite else "postgresql"]
    for statements in (make, undo):
        async with database.transaction() as tx:
            for statement in statements:
                await tx.exec_driver_sql(statement)
        if statements is make:
            yield


@pytest.mark.usefixtures("refusing")
async def test_a_row_that_the_database_refuses_stops_no_other(desk: Desk) -> None:
    batch = await desk.send([row(source_ref=f"ref-{number}") for number in range(20)])
    assert (batch.accepted, batch.rejected) == (19, 1)
    assert await desk.imports.rejections(batch, after_line=0, limit=5) == [rejected(8, "not_storable")]


async def test_a_database_error_tells_no_value(desk: Desk) -> None:
    with pytest.raises(IntegrityError) as error:
        async with desk.database.transaction() as tx:
            await tx.execute(insert(records), {"id": "a", "source_ref": "secret"})
    assert "secret" not in str(error.value)


async def test_csv_says_the_same_as_ndjson(desk: Desk) -> None:
    lines = [
        HEADER,
        f"{COMPANY.value},SOCINS_PAID,ref-1,990001,2026-10-28T09:00:00+08:00,,12,2026-09-30",
        f'{COMPANY.value},SOCINS_PAID,"ref, ""2""",990001,2026-10-28,2027-03-31,7,2026-09-30',
    ]
    data = "\r\n".join(lines).encode()
    assert [v.verdict for v in await desk.verdicts(data, Format.CSV)] == [Verdict.ACCEPTED] * 2
    assert (await desk.verdict(row())).verdict is Verdict.UNCHANGED
    assert {each.source_ref for each in await desk.of(COMPANY)} == {"ref-1", 'ref, "2"'}


@pytest.mark.parametrize("format_", list(Format))
async def test_a_byte_order_mark_is_passed_over(desk: Desk, format_: Format) -> None:
    line = f"{COMPANY.value},SOCINS_PAID,ref-1,990001,2026-10-28,,12,2026-09-30"
    data = ndjson([row()]) if format_ is Format.NDJSON else f"{HEADER}\n{line}\n".encode()
    assert [v.verdict for v in await desk.verdicts(b"\xef\xbb\xbf" + data, format_)] == [Verdict.ACCEPTED]


async def test_a_bad_csv_row_never_stops_good_ones(desk: Desk) -> None:
    def good(number: int) -> bytes:
        return f"{COMPANY.value},SOCINS_PAID,ref-{number},990001,2026-10-28,,{number},2026-09-30".encode()

    lines: list[tuple[bytes, tuple[str, str | None] | None]] = [
        (good(1), None),
        (b'"never closed,SOCINS_PAID,ref,990001,2026-10-28,,1,2026-09-30', ("not_csv", None)),
        (good(2), None),
        (good(3) + b",one,more", ("wrong_cell_count", None)),
        (good(4).replace(b",4,", b",four,"), ("wrong_type", "fields.months")),
        (good(5).replace(b",5,", b",,"), ("required", "fields.months")),
        (good(6).replace(b"ref-6", b""), ("required", "source_ref")),
        (good(7).replace(b"ref-7", b"\xff"), ("not_utf8", None)),
        (good(8).replace(b"ref-8", b"a\0b"), ("wrong_form", "source_ref")),
        (b"x" * 100_000, ("line_too_long", None)),
        (good(9), None),
    ]
    data = b"\n".join([HEADER.encode(), *(line for line, _ in lines)])
    assert await desk.verdicts(data, Format.CSV) == [
        RowVerdict(number, Verdict.ACCEPTED) if told is None else rejected(number, *told)
        for number, (_, told) in enumerate(lines, 2)
    ]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"subject,record_type",
        HEADER.encode() + b",subject",
        HEADER.encode() + b",colour",
        b'"' + HEADER.encode(),
        b"\xff" + HEADER.encode(),
        HEADER.encode() + b"," + b"x" * 100_000,
    ],
)
async def test_a_csv_header_that_no_row_fits_is_refused_at_once(desk: Desk, header: bytes) -> None:
    with pytest.raises(XinyiError) as error:
        await desk.send(header + b"\nanything", Format.CSV)
    assert error.value.code is Code.INVALID
    assert error.value.source == "header"


async def test_a_person_and_a_company_may_have_the_same_digits(desk: Desk) -> None:
    """The identifier alone says person; the record type or `subject_kind` says otherwise."""
    person = next(
        found
        for number in range(1000)
        if uscc.is_valid((found := identities.person(9911, date(1990, 5, 1), number)).value)
    )
    await desk.send([row(subject=person.value, source_ref="a")])
    await desk.send([row(subject=person.value, source_ref="b", subject_kind="legal_person")])
    async with desk.database.read() as tx:
        kinds = [desk.subjects.validate(person.value, kind) for kind in SubjectKind]
        ids = [await desk.subjects.find(tx, each) for each in kinds]
    assert None not in ids
    assert ids[0] != ids[1]


async def test_synthetic_subjects_and_regions_are_refused_outside_the_sandbox(desk: Desk, tmp_path: Any) -> None:
    real = Desk(desk.database, tmp_path / "keys", sandbox=False)
    assert await real.verdict(row()) == rejected(1, "identifier_synthetic", "subject")
    assert await real.verdict(row(subject="91110000710926094P")) == rejected(1, "region_unknown", "region")


async def test_an_unknown_or_suspended_source_sends_nothing(desk: Desk) -> None:
    with pytest.raises(XinyiError) as unknown:
        await desk.imports.open("nobody", Format.NDJSON, None)
    assert unknown.value.code is Code.NOT_FOUND
    batch = await desk.imports.open("bureau", Format.NDJSON, None)
    async with desk.database.transaction() as tx:
        await desk.partners.suspend_source(tx, "bureau")
    with pytest.raises(XinyiError) as suspended:
        await desk.imports.run(batch, io.BytesIO(ndjson([row()])))
    assert suspended.value.code is Code.PARTNER_SUSPENDED
    assert await desk.of(COMPANY) == []


class Stop(Exception):
    """The process is gone."""


async def test_an_interrupted_import_goes_on_where_it_stopped(desk: Desk) -> None:
    data = ndjson(row(source_ref=f"ref-{number}", region="990001" if number % 7 else "1") for number in range(1300))
    committed: list[int] = []

    def stop_after_two(batch: RecordBatch) -> None:
        committed.append(batch.lines)
        if len(committed) == 2:
            raise Stop

    first = await desk.imports.open("bureau", Format.NDJSON, "digest")
    with pytest.raises(Stop):
        await desk.imports.run(first, io.BytesIO(data), stop_after_two)
    assert await _count(desk.database) == sum(1 for number in range(committed[-1]) if number % 7)

    again = await desk.imports.open("bureau", Format.NDJSON, "digest")
    assert (again.id, again.lines) == (first.id, committed[-1])
    done = await desk.imports.run(again, io.BytesIO(data))
    assert done.finished
    assert (done.accepted, done.rejected, done.unchanged) == (1114, 186, 0)
    report = [verdict async for verdict in desk.imports.report(done.id)]
    assert [verdict.line for verdict in report] == list(range(1, 1301))
    assert sum(verdict.verdict is Verdict.REJECTED for verdict in report) == 186

    fresh = await desk.imports.open("bureau", Format.NDJSON, "digest")
    assert fresh.id != first.id


async def test_one_batch_is_imported_by_one_at_a_time(desk: Desk) -> None:
    batch = await desk.imports.open("bureau", Format.NDJSON, "digest")
    await desk.imports.run(batch, io.BytesIO(ndjson([row()])))
    with pytest.raises(XinyiError) as error:
        await desk.imports.run(batch, io.BytesIO(ndjson([row()])))
    assert error.value.code is Code.WRONG_STATE


async def test_who_falls_behind_another_run_of_the_batch_stores_nothing(desk: Desk) -> None:
    def stop(_batch: RecordBatch) -> None:
        raise Stop

    data = ndjson(row(source_ref=f"ref-{number}") for number in range(700))
    batch = await desk.imports.open("bureau", Format.NDJSON, "digest")
    with pytest.raises(Stop):
        await desk.imports.run(batch, io.BytesIO(data), stop)
    with pytest.raises(XinyiError) as error:
        await desk.imports.run(batch, io.BytesIO(data))  # still thinks that nothing is done
    assert error.value.code is Code.WRONG_STATE
    now = await desk.imports.batch("bureau", batch.id)
    assert (now.lines, now.accepted, now.unchanged) == (500, 500, 0)


async def test_an_idempotency_key_names_one_batch(desk: Desk) -> None:
    first = await desk.imports.open_once("bureau", Format.NDJSON, "digest", "key")
    assert await desk.imports.open_once("bureau", Format.NDJSON, "digest", "key") == first
    with pytest.raises(XinyiError) as error:
        await desk.imports.open_once("bureau", Format.NDJSON, "another", "key")
    assert error.value.code is Code.IDEMPOTENCY_KEY_REUSED


async def test_a_new_observation_keeps_what_the_subject_said(desk: Desk) -> None:
    await desk.send([row()])
    [stored] = await desk.of(COMPANY)
    async with desk.database.transaction() as tx:
        subject_id = await desk.subjects.ensure(tx, COMPANY)
        await desk.disputes.open(tx, subject_id, stored.id)
    await desk.send([row(observed_at="2026-10-30")])
    [now] = await desk.of(COMPANY)
    assert now.id == stored.id
    assert now.disputed_at == desk.clock.now()


async def _count(database: Database) -> int:
    async with database.read() as tx:
        return int((await tx.execute(select(func.count()).select_from(records))).scalar_one())
