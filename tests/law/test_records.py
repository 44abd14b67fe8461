"""What is recorded about a subject, and what they, its sources and time do to it."""

import functools
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table, select

from tests.support.batches import finish, question, results, submit
from tests.support.stored import told_to_partners
from tests.support.world import NEIGHBOUR, SOURCE, Subject, World, ask
from xinyi.batches.tables import check_batch_items, check_batch_results, check_batches
from xinyi.checks.model import Answered, Refused
from xinyi.checks.tables import checks
from xinyi.checks.witness import CheckRows, ConsentUses
from xinyi.consents.http import view
from xinyi.consents.model import Consent, Party
from xinyi.consents.witness import ConsentRows
from xinyi.feedback.model import Feedback, Result
from xinyi.kernel.clock import CHINA_TIME
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Text
from xinyi.ledger.checkpoint import CheckpointKeys
from xinyi.ledger.verify import verify_database
from xinyi.ledger.witness import Witness
from xinyi.partners.model import Client
from xinyi.portal.model import ProofState
from xinyi.records.amendments import RepairedRecord
from xinyi.records.deadlines import Deadline, Deadlines, DeadlineTable, WorkingDays, Year
from xinyi.records.model import RecordBatch
from xinyi.records.rows import Format
from xinyi.records.tables import record_batch_chunks, record_batch_rejections, record_batches, records
from xinyi.sandbox import identities
from xinyi.storage.kept import AUDIT_KEPT, GRACE
from xinyi.storage.types import metadata

SCENARIO = "bike-deposit"
PAID: dict[str, Any] = {"months": 24, "as_of": "2026-10-31"}


async def answer(world: World, client: Client, consent: Consent) -> dict[str, Any]:
    """What a check says, without what is another in each answer."""
    result = await world.check(ask(client, consent))
    assert isinstance(result, Answered)
    data: dict[str, Any] = msgspec.json.decode(result.body)["data"]
    return {name: value for name, value in data.items() if name not in {"id", "subject", "salts"}}


async def stored(world: World, *tables: Table) -> str:
    """Every row of these tables, or of every one, as text."""
    async with world.services.database.read() as tx:
        rows = [await tx.execute(select(table)) for table in tables or metadata.sorted_tables]
        return repr([[tuple(row) for row in each] for each in rows])


async def test_l07_what_an_answer_said_is_erased_when_its_time_is_over(world: World):
    company = await world.subject(identities.company(1, 7))
    bank, consent = await _told_a_grade(world, company)
    assert "grade" in await _bodies(world)
    days = world.services.scenarios.get("microloan-prescreen").retention_days
    world.clock.advance(timedelta(days=days) - timedelta(seconds=1))
    assert (await world.services.retention.sweep()).erased == 0
    world.clock.advance(timedelta(seconds=1))
    assert (await world.services.retention.sweep()).erased == 1
    assert await _bodies(world) == ""
    await _verifies(world)
    refused = await world.check(ask(bank, consent))
    assert isinstance(refused, Refused), "the consent has expired as well"


async def test_l07_a_batch_goes_with_the_last_of_its_answers(world: World, person: Subject, bike: Client):
    consent = await world.consent(bike, SCENARIO, person)
    await world.services.batch_worker.stop()
    batch = await submit(world.services, bike, [question(consent)])
    await finish(world.services.batches)
    world.clock.advance(timedelta(days=world.services.scenarios.get(SCENARIO).retention_days) + GRACE)
    with pytest.raises(XinyiError) as gone:
        await results(world.services, batch)
    assert gone.value.code is Code.NOT_FOUND
    assert await world.services.batches.sweep() == 3
    assert batch.id not in await stored(world, check_batches, check_batch_items, check_batch_results)


async def test_l07_what_became_of_the_lines_of_an_import_goes_after_90_days(world: World):
    imports, batch = world.services.imports, await imported(world)
    world.clock.advance(timedelta(days=90))
    with pytest.raises(XinyiError) as gone:
        await imports.rejections(batch, after_line=0, limit=1)
    assert gone.value.code is Code.NOT_FOUND
    world.clock.advance(2 * GRACE)
    assert await imports.sweep() == 2
    assert batch.id not in await stored(world, record_batch_chunks, record_batch_rejections)


async def imported(world: World) -> RecordBatch:
    """An import of one line, which was rejected."""
    imports = world.services.imports
    return await imports.run(await imports.open(SOURCE, Format.NDJSON, None), io.BytesIO(b"{}"))


async def test_l10_the_export_has_every_kind_of_thing_that_is_kept_about_a_subject(
    world: World, person: Subject, bike: Client
):
    s = world.services
    record = await world.record(person, "SOCINS_PAID", **PAID)
    honour = await world.record(person, "HONOUR", title="示例", level="municipal", date="2025-11-01")
    consent = await world.consent(bike, SCENARIO, person)
    checked = await world.check(ask(bike, consent))
    assert checked.check_id is not None
    assert bike.partner_id is not None
    granted = Feedback(result=Result.GRANTED)
    await s.feedback.give(checked.check_id, granted, partner_id=bike.partner_id, bound_consent_id=None)
    async with s.database.transaction() as tx:
        await s.disputes.open(tx, person.id, record)
        await s.records.suppress(tx, person.id, honour)
        await s.records.withhold(tx, person.id, SCENARIO, "HONOUR")
    export = msgspec.to_builtins(await s.portal.export(person.id))
    assert export["identifier"] == person.identifier.value
    kept_as = {
        "subjects": "identifier",
        "consents": "consents",
        "records": "records",
        "disputes": "disputes",
        "kept_off": "suppressions",
        "withholdings": "withholdings",
        "checks": "access_log",
        "subject_preferences": "preferences",
    }
    with_subjects = {table.name for table in metadata.sorted_tables if "subject_id" in table.columns} | {"subjects"}
    assert with_subjects == set(kept_as), "a new table about subjects belongs into the export"
    assert all(export[member] for member in kept_as.values())
    [look] = export["access_log"]
    assert look["receipt"]
    assert look["entry"]["feedback"]["result"] == "granted"
    assert look["answer"]["outcome"] == "met" or look["answer"]["outcome"] == "not_evidenced"
    assert export["ledger_keys"]


async def test_l11_what_a_source_takes_back_is_gone(world: World, person: Subject):
    record = await world.record(person, "SOCINS_PAID", **PAID)
    async with world.services.database.transaction() as tx:
        await world.services.amendments.withdraw(tx, SOURCE, record)
        assert (await tx.execute(select(records))).all() == []


async def test_l11_after_a_withdrawal_what_was_answered_is_erased_and_nothing_of_it_is_left(world: World):
    company = await world.subject(identities.company(1, 7))
    bank, consent = await _told_a_grade(world, company)
    async with world.services.database.read() as tx:
        [body] = (await tx.execute(select(checks.c.body))).scalars()
    salts = msgspec.json.decode(body or "")["data"]["salts"]
    assert salts["tax-rating"]["grade"] in await stored(world)
    await world.services.consents.withdraw(consent.id, Party.SUBJECT, company.id)
    assert (await world.services.retention.sweep()).erased == 1
    assert salts["tax-rating"]["grade"] not in await stored(world)
    assert await _bodies(world) == ""
    await _verifies(world)
    [look], _ = await world.services.access.page(company.id, limit=10)
    assert (look.proof.state, look.facts) == (ProofState.ERASED, ())
    assert (look.partner.id, look.reference) == (bank.partner_id, "CASE-1")


async def test_l14_who_asked_when_for_what_and_by_whose_consent_is_kept_five_years(
    world: World, person: Subject, bike: Client
):
    assert timedelta(days=5 * 365 + 2) <= AUDIT_KEPT
    consent = await world.consent(bike, SCENARIO, person)
    asked_at = world.clock.now()
    await world.check(ask(bike, consent, reference="RIDE-1"))
    world.clock.advance(timedelta(days=5 * 365 + 2))
    await world.services.retention.sweep()
    [look], _ = await world.services.access.page(person.id, limit=10)
    assert (look.at, look.partner.id, look.consent_id, look.reference) == (
        asked_at,
        bike.partner_id,
        consent.id,
        "RIDE-1",
    )
    assert look.purpose == world.services.scenarios.get(SCENARIO).purpose
    assert look.authorised_at == consent.authorised_at
    world.clock.advance(timedelta(days=10))
    assert (await world.services.retention.sweep()).removed == 1
    assert await world.services.access.page(person.id, limit=10) == ([], None)
    await _verifies(world)
    world.clock.advance(timedelta(days=365))
    assert (await world.services.retention.sweep()).removed == 1, "the consent, five years after its end"
    assert await world.services.portal.consents(person.id) == []
    await _verifies(world)


async def test_l14_that_a_source_sent_records_is_kept_five_years_and_not_for_ever(world: World):
    imports, batch = world.services.imports, await imported(world)
    world.clock.advance(timedelta(days=5 * 365 + 2))
    await imports.sweep()
    assert await imports.batch(SOURCE, batch.id) == batch
    world.clock.advance(timedelta(days=10))
    assert await imports.sweep() == 1
    assert batch.id not in await stored(world, record_batches)


async def test_l20_a_contested_record_counts_as_none(world: World, person: Subject, bike: Client):
    neighbour = await world.subject(NEIGHBOUR)
    record = await world.record(person, "SOCINS_PAID", **PAID)
    consent, other = await world.consent(bike, SCENARIO, person), await world.consent(bike, SCENARIO, neighbour)
    assert (await answer(world, bike, consent))["outcome"] == "met"
    async with world.services.database.transaction() as tx:
        await world.services.disputes.open(tx, person.id, record)
    assert await answer(world, bike, consent) == await answer(world, bike, other)


@pytest.mark.parametrize(
    ("region", "contested", "due"),
    [
        ("320100", "2026-11-02T23:59:59+08:00", date(2026, 11, 4)),  # its own city's two days
        ("321100", "2026-11-02T00:00:00+08:00", date(2026, 11, 5)),  # its province's three
        ("990001", "2026-11-06T09:00:00+08:00", date(2026, 11, 13)),  # the default's five, over a weekend
        ("990001", "2026-09-29T09:00:00+08:00", date(2026, 10, 12)),  # over the National Day holidays
        ("320100", "2026-10-09T09:00:00+08:00", date(2026, 10, 12)),  # Saturday the 10th is worked
    ],
)
def test_l20_the_answer_is_due_within_the_working_days_of_the_region(region: str, contested: str, due: date):
    table = DeadlineTable(Deadline(5), {"32": Deadline(3), "320100": Deadline(2, Text("某市条例", "A city's rule"))})
    deadlines = Deadlines(table, _calendar())
    end = deadlines.due(region, datetime.fromisoformat(contested)).astimezone(CHINA_TIME)
    assert (end - timedelta(seconds=1)).date() == due
    assert (end.hour, end.minute) == (0, 0)


@functools.cache
def _calendar() -> WorkingDays:
    return Deadlines.load()._calendar


def test_l20_the_calendar_of_2026_is_the_state_councils_and_other_years_have_weekends_alone():
    [year] = _calendar().years
    assert isinstance(year, Year)
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    # 国务院办公厅关于2026年部分节假日安排的通知: 33 days off, six weekend days worked
    assert sum(len(list(span)) for span in year.holidays) == 33
    assert all(day.weekday() >= 5 for day in year.worked)
    assert sum(_calendar().is_working(day) for day in days) == 248
    assert _calendar().is_working(date(2027, 10, 1))
    assert not _calendar().is_working(date(2027, 10, 2))


async def test_l21_an_honour_that_is_kept_off_the_record_is_the_same_as_none(
    world: World, person: Subject, bike: Client
):
    neighbour = await world.subject(NEIGHBOUR)
    honour = await world.record(person, "HONOUR", title="示例", level="municipal", date="2025-11-01")
    consent, other = await world.consent(bike, SCENARIO, person), await world.consent(bike, SCENARIO, neighbour)
    assert (await answer(world, bike, consent))["outcome"] == "met"
    async with world.services.database.transaction() as tx:
        await world.services.records.suppress(tx, person.id, honour)
    assert await answer(world, bike, consent) == await answer(world, bike, other)


async def test_l21_it_stays_off_when_its_source_sends_it_again_and_is_shown_so(
    world: World, person: Subject, bike: Client
):
    s = world.services
    said: dict[str, Any] = {"title": "示例", "level": "municipal", "date": "2025-11-01"}
    neighbour = await world.subject(NEIGHBOUR)
    honour = await world.record(person, "HONOUR", **said)
    consent, other = await world.consent(bike, SCENARIO, person), await world.consent(bike, SCENARIO, neighbour)
    async with s.database.transaction() as tx:
        await s.records.suppress(tx, person.id, honour)
        await s.amendments.withdraw(tx, SOURCE, honour)
    again = {"source_ref": "r-1", "region": "990001", "observed_at": "2026-11-02", "fields": said}
    row = msgspec.json.encode({"subject": person.identifier.value, "record_type": "HONOUR", **again})
    batch = await s.imports.run(await s.imports.open(SOURCE, Format.NDJSON, None), io.BytesIO(row))
    assert batch.accepted == 1
    assert await answer(world, bike, consent) == await answer(world, bike, other)
    [shown] = await s.portal.records(person.id)
    assert (shown.source_ref, shown.suppressed) == ("r-1", True)


async def test_l22_each_look_is_listed_with_its_caller_and_each_record_with_its_source(
    world: World, person: Subject, bike: Client
):
    await world.record(person, "SOCINS_PAID", **PAID)
    consent = await world.consent(bike, SCENARIO, person)
    await world.check(ask(bike, consent, reference="RIDE-1"))
    await world.services.consents.pause(consent.id, person.id)
    world.clock.advance(timedelta(seconds=1))
    await world.check(ask(bike, consent, reference="RIDE-2"))
    looks, _ = await world.services.access.page(person.id, limit=10)
    told = [(each.reference, each.partner.name.en, each.outcome, each.refusal) for each in looks]
    assert told == [
        ("RIDE-2", "Sample Partner", None, Code.CONSENT_PAUSED),
        ("RIDE-1", "Sample Partner", "met", None),
    ]
    assert {each.proof.state for each in looks} == {ProofState.INCLUDED}
    [record] = await world.services.portal.records(person.id)
    assert record.source.name.zh == "示例来源"


async def test_l25_a_repair_shows_in_the_next_check_and_nowhere_else(world: World, person: Subject, bike: Client):
    s = world.services
    await world.record(person, "SOCINS_PAID", months=1, as_of="2026-10-31")
    consent = await world.consent(bike, SCENARIO, person)
    before = await _seen_by_the_partner(world, consent)
    first = await answer(world, bike, consent)
    repaired = RepairedRecord(
        record_type="SOCINS_PAID", source_ref="r-1", region="990001", observed_at="2026-11-02", fields=PAID
    )
    async with s.database.transaction() as tx:
        await s.amendments.repair(tx, SOURCE, person.identifier, ["SOCINS_PAID"], [repaired])
    second = await answer(world, bike, consent)
    assert (first.pop("outcome"), second.pop("outcome")) == ("not_evidenced", "met")
    assert first == second, "no time and no member depends on the record"
    assert await _seen_by_the_partner(world, consent, uses=2) == before
    async with s.database.read() as tx:
        [kept] = (await tx.execute(select(records))).all()
    assert kept.fields == PAID, "what counted before is kept nowhere"


async def _seen_by_the_partner(world: World, consent: Consent, uses: int = 0) -> tuple[Any, ...]:
    """Everything that the partner can see or is told, but for the uses that it made itself."""
    s = world.services
    assert consent.subject_id is not None
    async with s.database.read() as tx:
        events = await told_to_partners(tx)
        now = await s.consents.find(tx, consent.id)
    assert now.use_count == uses
    shown = view(msgspec.structs.replace(now, use_count=0), s.consents.pairwise(now), datetime(2026, 11, 3, tzinfo=UTC))
    return events, shown


async def _told_a_grade(world: World, company: Subject) -> tuple[Client, Consent]:
    await world.record(company, "TAX_RATING", year=2025, grade="A")
    await world.record(company, "TAX_ONTIME", **PAID)
    await world.record(company, "SOCINS_PAID", **PAID)
    bank = await world.client("microloan-prescreen")
    consent = await world.consent(bank, "microloan-prescreen", company)
    assert (await answer(world, bank, consent))["disclosed"] == {"tax-rating": {"grade": "A"}}
    return bank, consent


async def _bodies(world: World) -> str:
    async with world.services.database.read() as tx:
        return "".join(body or "" for body in (await tx.execute(select(checks.c.body))).scalars())


async def _verifies(world: World) -> None:
    s = world.services
    witnesses: list[Witness] = [
        CheckRows(s.subjects.pairwise),
        ConsentRows(s.scenarios, s.subjects.pairwise),
        ConsentUses(),
    ]
    async with s.database.read() as tx:
        report = await verify_database(tx, CheckpointKeys(s.ledger.jwks()), witnesses=witnesses)
    assert report.fault is None
