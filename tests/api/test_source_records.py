"""``/v1/records`` and ``/v1/disputes``: sources put right what they sent, and answer who contests it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.rooms import calling
from tests.support.stored import told_to_partners
from tests.support.world import NEIGHBOUR, SOURCE, Subject, World, ask
from xinyi.checks.model import Answered
from xinyi.consents.model import Consent
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Text
from xinyi.partners.model import Client
from xinyi.records.amendments import Correction
from xinyi.records.http import DisputeController, RecordController
from xinyi.records.model import DisputeState, Settler
from xinyi.web.principal import Principal, Scope

pytestmark = pytest.mark.anyio
SCENARIO = "bike-deposit"
OUTCOME = b'"outcome":"met"'
ENOUGH = {"region": "990001", "observed_at": "2026-11-02", "fields": {"months": 24, "as_of": "2026-10-31"}}

Met = Callable[[], Awaitable[bool]]


@pytest.fixture
async def subject(world: World) -> Subject:
    return await world.subject()


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(SCENARIO, kind="bike-share")


@pytest.fixture
async def consent(world: World, client: Client, subject: Subject) -> Consent:
    return await world.consent(client, SCENARIO, subject)


@pytest.fixture
def met(world: World, client: Client, consent: Consent) -> Met:
    """Whether the next check finds the criteria met."""

    async def met() -> bool:
        answer = await world.check(ask(client, consent))
        assert isinstance(answer, Answered)
        return OUTCOME in answer.body

    return met


@pytest.fixture
async def source(world: World) -> AsyncGenerator[httpx.AsyncClient]:
    async with as_source(world, SOURCE) as http:
        yield http


def as_source(world: World, source_id: str) -> Any:
    principal = Principal("cli_source", frozenset({Scope.RECORDS}), "jkt", source_id=source_id)
    return calling(world, [RecordController, DisputeController], principal)


async def contested(world: World, subject: Subject, record_id: str, statement: str | None = None) -> str:
    async with world.services.database.transaction() as tx:
        return (await world.services.disputes.open(tx, subject.id, record_id, statement)).id


async def test_a_source_finds_what_it_sent_by_its_own_number(
    world: World, subject: Subject, source: httpx.AsyncClient
) -> None:
    for _ in range(3):
        await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    first = (await source.get("/v1/records", params={"limit": 2})).json()
    rest = (await source.get(first["links"]["next"])).json()
    assert [each["source_ref"] for page in (first, rest) for each in page["data"]] == ["test-1", "test-2", "test-3"]
    assert rest["meta"]["next_cursor"] is None
    [one] = (await source.get("/v1/records", params={"source_ref": "test-2"})).json()["data"]
    assert one == first["data"][1]
    assert set(one) == {"id", "record_type", "source_ref", "region", "observed_at", "valid_until", "fields"}


async def test_the_next_check_sees_a_correction(
    world: World, subject: Subject, source: httpx.AsyncClient, met: Met
) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=1, as_of="2026-10-31")
    assert not await met()
    corrected = await source.post(f"/v1/records/{record}/corrections", json=ENOUGH)
    assert corrected.status_code == 200
    assert corrected.json()["data"]["fields"]["months"] == 24
    assert await met()


@pytest.mark.parametrize(
    ("change", "source_of_fault"),
    [
        ({"fields": {"months": -1, "as_of": "2026-10-31"}}, "/fields/months"),
        ({"region": "123"}, "/region"),
        ({"observed_at": "2027-01-01"}, "/observed_at"),
    ],
)
async def test_a_correction_is_checked_as_an_import_is(
    world: World, subject: Subject, source: httpx.AsyncClient, change: dict[str, Any], source_of_fault: str
) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    refused = await source.post(f"/v1/records/{record}/corrections", json={**ENOUGH, **change})
    assert (refused.status_code, refused.json()["source"]) == (422, source_of_fault)


async def test_a_correction_never_takes_the_place_of_a_newer_observation(
    world: World, subject: Subject, source: httpx.AsyncClient
) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31", days_ago=0.5)
    older = {**ENOUGH, "observed_at": "2026-10-31", "fields": {"months": 24, "as_of": "2026-09-30"}}
    refused = await source.post(f"/v1/records/{record}/corrections", json=older)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


async def test_what_a_source_takes_back_is_gone(
    world: World, subject: Subject, source: httpx.AsyncClient, met: Met
) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    assert await met()
    assert (await source.post(f"/v1/records/{record}/withdrawals")).status_code == 204
    assert not await met()
    assert (await source.get("/v1/records")).json()["data"] == []
    assert (await source.post(f"/v1/records/{record}/withdrawals")).status_code == 404


async def test_anothers_record_or_dispute_answers_as_one_that_does_not_exist(world: World, subject: Subject) -> None:
    async with world.services.database.transaction() as tx:
        await world.services.partners.add_source(tx, "other", Text("另一来源", "Other"), ["SOCINS_PAID"])
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    dispute = await contested(world, subject, record)
    answer = {"outcome": "upheld", "answer": "无误"}
    async with as_source(world, "other") as other:
        for path, body, id_ in (
            ("/v1/records/{}/corrections", ENOUGH, record),
            ("/v1/records/{}/withdrawals", None, record),
            ("/v1/disputes/{}/answers", answer, dispute),
        ):
            absent = id_[:-1] + ("0" if id_[-1] != "0" else "1")
            answers = [await other.post(path.format(each), json=body) for each in (id_, absent, "nonsense")]
            assert {each.status_code for each in answers} == {404}
            assert len({each.content for each in answers}) == 1
        assert (await other.get("/v1/disputes")).json()["data"] == []


async def test_a_contested_record_counts_again_once_it_is_upheld(
    world: World, subject: Subject, source: httpx.AsyncClient, met: Met
) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    dispute = await contested(world, subject, record, "漏记了一个月")
    assert not await met()
    [asked] = (await source.get("/v1/disputes")).json()["data"]
    assert (asked["id"], asked["record_id"], asked["statement"]) == (dispute, record, "漏记了一个月")
    answered = await source.post(
        f"/v1/disputes/{dispute}/answers", json={"outcome": "upheld", "answer": "经核对缴费台账，记录无误。"}
    )
    assert answered.json()["data"]["state"] == "upheld"
    assert await met()
    assert (await source.get("/v1/disputes")).json()["data"] == []
    assert len((await source.get("/v1/disputes", params={"state": "any"})).json()["data"]) == 1
    again = await source.post(f"/v1/disputes/{dispute}/answers", json={"outcome": "withdrawn", "answer": "撤回"})
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


async def test_a_dispute_is_answered_by_a_correction_or_a_withdrawal(
    world: World, subject: Subject, source: httpx.AsyncClient, met: Met
) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=1, as_of="2026-10-31")
    first = await contested(world, subject, record)
    lacking = await source.post(f"/v1/disputes/{first}/answers", json={"outcome": "corrected", "answer": "已补记"})
    assert (lacking.status_code, lacking.json()["source"]) == (422, "/correction")
    await source.post(
        f"/v1/disputes/{first}/answers", json={"outcome": "corrected", "answer": "已补记", "correction": ENOUGH}
    )
    assert await met()
    world.clock.advance(timedelta(seconds=1))
    second = await contested(world, subject, record)
    await source.post(f"/v1/disputes/{second}/answers", json={"outcome": "withdrawn", "answer": "记录属于他人"})
    assert not await met()
    states = [each["state"] for each in (await source.get("/v1/disputes", params={"state": "any"})).json()["data"]]
    assert states == ["corrected", "withdrawn"]


async def test_what_says_nothing_new_settles_no_dispute(
    world: World, subject: Subject, source: httpx.AsyncClient, met: Met
) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=1, as_of="2026-10-31")
    await source.post(f"/v1/records/{record}/corrections", json=ENOUGH)
    dispute = await contested(world, subject, record)
    again = await source.post(f"/v1/records/{record}/corrections", json=ENOUGH)
    assert (again.status_code, again.json()["data"]["id"]) == (200, record)
    repair = {
        "subject": subject.identifier.value,
        "record_types": ["SOCINS_PAID"],
        "records": [{**ENOUGH, "record_type": "SOCINS_PAID", "source_ref": "test-1"}],
    }
    assert (await source.post("/v1/records/repairs", json=repair)).json()["data"] == {"removed": 0, "stored": 1}
    answer = {"outcome": "corrected", "answer": "已更正", "correction": ENOUGH}
    empty = await source.post(f"/v1/disputes/{dispute}/answers", json=answer)
    assert (empty.status_code, empty.json()["source"]) == (422, "/correction")
    [stands] = (await source.get("/v1/disputes")).json()["data"]
    assert (stands["id"], stands["state"]) == (dispute, "open")
    assert not await met(), "contested still"


async def test_the_operator_answers_in_a_sources_place(world: World, subject: Subject, met: Met) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    dispute = await contested(world, subject, record)
    async with world.services.database.transaction() as tx:
        [open_one] = await world.services.disputes.all(tx, only_open=True, limit=10)
        assert open_one.id == dispute
        settled = await world.services.disputes.answer(
            tx, dispute, DisputeState.UPHELD, "来源单位已书面确认", by=Settler.OPERATOR
        )
    assert (settled.state, settled.settled_by) == (DisputeState.UPHELD, Settler.OPERATOR)
    assert await met()


async def test_a_late_answer_leaves_the_record_uncounted(world: World, subject: Subject, met: Met) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    dispute = await contested(world, subject, record)
    async with world.services.database.read() as tx:
        due = (await world.services.disputes.find(tx, dispute)).due_at
    assert due == datetime(2026, 11, 9, 16, tzinfo=UTC), "the end of the fifth working day after 2 November"
    world.clock.advance(timedelta(days=30))
    assert not await met()


@pytest.mark.parametrize("statement", ["x" * 501, "证件号 11010519491231002X", "a\x00b"])
async def test_a_statement_is_short_and_holds_no_identifier(world: World, subject: Subject, statement: str) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    with pytest.raises(XinyiError) as error:
        await contested(world, subject, record, statement)
    assert error.value.code is Code.INVALID


async def test_a_repair_notice_drops_what_was_sent_and_the_next_check_sees_what_counts(
    world: World, subject: Subject, source: httpx.AsyncClient, met: Met
) -> None:
    await world.record(subject, "SOCINS_PAID", months=1, as_of="2026-10-31")
    kept = await world.record(subject, "HONOUR", title="示例", level="municipal", date="2025-01-01")
    async with world.services.database.transaction() as tx:
        await world.services.records.suppress(tx, subject.id, kept)
    assert not await met()
    notice = {
        "subject": subject.identifier.value,
        "record_types": ["SOCINS_PAID"],
        "records": [{**ENOUGH, "record_type": "SOCINS_PAID", "source_ref": "repaired-1"}],
    }
    for removed in (1, 0):
        answer = await source.post("/v1/records/repairs", json=notice)
        assert (answer.status_code, answer.json()["data"]) == (200, {"removed": removed, "stored": 1})
        assert await met()
    refs = [each["source_ref"] for each in (await source.get("/v1/records")).json()["data"]]
    assert refs == ["repaired-1", "test-2"]


async def test_a_repair_keeps_what_the_subject_keeps_off_the_record(
    world: World, subject: Subject, source: httpx.AsyncClient
) -> None:
    honour = await world.record(subject, "HONOUR", title="示例", level="municipal", date="2025-01-01")
    async with world.services.database.transaction() as tx:
        await world.services.records.suppress(tx, subject.id, honour)
    said = {
        "region": "990001",
        "observed_at": "2026-11-02",
        "fields": {"title": "示例市文明市民", "level": "municipal", "date": "2025-01-01"},
    }
    notice = {
        "subject": subject.identifier.value,
        "record_types": ["HONOUR"],
        "records": [{**said, "record_type": "HONOUR", "source_ref": "test-1"}],
    }
    assert (await source.post("/v1/records/repairs", json=notice)).json()["data"] == {"removed": 0, "stored": 1}
    async with world.services.database.read() as tx:
        [record] = await world.services.records.of_subject(tx, subject.id)
    assert record.suppressed_at is not None
    assert record.fields["title"] == "示例市文明市民"


async def test_a_repair_for_a_stranger_is_answered_alike_and_registers_nobody(
    world: World, subject: Subject, source: httpx.AsyncClient
) -> None:
    notices = [{"subject": each.value, "record_types": ["SOCINS_PAID"]} for each in (subject.identifier, NEIGHBOUR)]
    answers = [await source.post("/v1/records/repairs", json=notice) for notice in notices]
    assert {each.content for each in answers} == {b'{"data":{"removed":0,"stored":0}}'}
    async with world.services.database.read() as tx:
        assert await world.services.subjects.find(tx, NEIGHBOUR) is None


async def test_a_repair_names_nothing_that_others_supply_and_no_other_record(
    world: World, subject: Subject, source: httpx.AsyncClient
) -> None:
    async with world.services.database.transaction() as tx:
        await world.services.partners.add_source(tx, "other", Text("另一来源", "Other"), ["SOCINS_PAID"])
    notice = {"subject": subject.identifier.value, "record_types": ["TAX_RATING"]}
    async with as_source(world, "other") as other:
        refused = await other.post("/v1/records/repairs", json=notice)
    assert (refused.status_code, refused.json()["source"]) == (422, "/record_types")
    await world.record(subject, "HPF_PAID", months=12, as_of="2026-10-31")
    taken = {
        **notice,
        "record_types": ["SOCINS_PAID"],
        "records": [{**ENOUGH, "record_type": "SOCINS_PAID", "source_ref": "test-1"}],
    }
    refused = await source.post("/v1/records/repairs", json=taken)
    assert (refused.status_code, refused.json()["source"]) == (422, "/records/0/source_ref")


@pytest.mark.parametrize("change", ["contest", "correct", "withdraw", "repair", "suppress"])
async def test_whatever_happens_to_a_record_no_partner_is_told_and_no_time_moves(
    world: World, client: Client, subject: Subject, consent: Consent, change: str
) -> None:
    s = world.services
    record = await world.record(subject, "HONOUR", title="示例", level="municipal", date="2025-11-01")
    before = await told_to_the_partner(world, client, consent)
    async with s.database.transaction() as tx:
        match change:
            case "contest":
                await s.disputes.open(tx, subject.id, record)
            case "correct":
                fields: dict[str, str | int | bool] = {"title": "更正", "level": "municipal", "date": "2025-11-01"}
                correction = Correction(region="990001", observed_at="2026-11-02", fields=fields)
                await s.amendments.correct(tx, SOURCE, record, correction)
            case "withdraw":
                await s.amendments.withdraw(tx, SOURCE, record)
            case "repair":
                await s.amendments.repair(tx, SOURCE, subject.identifier, ["HONOUR"], [])
            case "suppress":
                await s.records.suppress(tx, subject.id, record)
    assert await told_to_the_partner(world, client, consent) == before


async def told_to_the_partner(world: World, client: Client, consent: Consent) -> tuple[Any, ...]:
    """The events, the consent, and the times and the shape of an answer: all but its outcome."""
    s = world.services
    answer = await world.check(ask(client, consent))
    assert isinstance(answer, Answered)
    data = msgspec.json.decode(answer.body)["data"]
    times = {name: data[name] for name in ("as_of", "valid_until", "consent_expires_at", "criteria", "disclosed")}
    async with s.database.read() as tx:
        events = await told_to_partners(tx)
        now = msgspec.structs.replace(await s.consents.find(tx, consent.id), use_count=0)
    return times, set(data), events, now
