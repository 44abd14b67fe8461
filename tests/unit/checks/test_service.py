"""A list of requests in, a list of results out."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from tests.support.world import COMPANY, PERSON, Subject, World, ask
from xinyi.checks.model import Answered, CheckBody, Refused, Result, commitment
from xinyi.checks.tables import checks
from xinyi.consents.model import ConsentState, Party
from xinyi.kernel.canonical import unb64url
from xinyi.kernel.errors import Code
from xinyi.kernel.text import Text
from xinyi.ledger.tables import ledger_leaves
from xinyi.scenarios.registry import Registry
from xinyi.storage.idempotency import idempotency_keys
from xinyi.storage.kept import AUDIT_KEPT


def body(result: Result) -> CheckBody:
    assert isinstance(result, Answered), result
    return msgspec.json.decode(result.body, type=CheckBody)


def entry_of(result: Result) -> dict[str, object]:
    return msgspec.json.decode(unb64url(body(result).receipt.split("~")[0]), type=dict[str, object])


async def evidence(world: World, company: Subject, grade: str = "A") -> None:
    """Records that meet every criterion of ``microloan-prescreen``."""
    await world.record(company, "TAX_RATING", year=2025, grade=grade)
    await world.record(company, "TAX_ONTIME", months=24, as_of="2026-10-31")
    await world.record(company, "SOCINS_PAID", months=12, as_of="2026-10-31")


async def leaves(world: World, kind: str) -> int:
    async with world.services.database.read() as tx:
        query = select(func.count()).select_from(ledger_leaves).where(ledger_leaves.c.kind == kind)
        return int((await tx.execute(query)).scalar_one())


async def test_a_met_rule_is_answered_with_what_the_scenario_discloses_and_no_more(world: World) -> None:
    bank, company = await world.client("microloan-prescreen"), await world.subject(COMPANY)
    await evidence(world, company)
    consent = await world.consent(bank, "microloan-prescreen", company)

    answer = body(await world.check(ask(bank, consent))).data

    assert answer.outcome == "met"
    assert [(each.id, each.outcome) for each in answer.criteria] == [
        ("tax-rating", "met"),
        ("tax-on-time", "met"),
        ("social-insurance", "met"),
    ]
    assert answer.disclosed == {"tax-rating": {"grade": "A"}}
    assert answer.as_of == world.clock.now()
    assert answer.valid_until == answer.as_of + timedelta(hours=24)
    assert answer.consent_expires_at == consent.expires_at


async def test_when_the_rule_is_not_met_no_value_is_disclosed(world: World) -> None:
    bank, company = await world.client("microloan-prescreen"), await world.subject(COMPANY)
    await world.record(company, "TAX_RATING", year=2025, grade="A")
    await world.record(company, "SOCINS_PAID", months=5, as_of="2026-10-31")
    consent = await world.consent(bank, "microloan-prescreen", company)

    answer = body(await world.check(ask(bank, consent))).data

    assert answer.outcome == "not_evidenced"
    assert {each.id: each.outcome for each in answer.criteria} == {
        "tax-rating": "met",
        "tax-on-time": "not_evidenced",
        "social-insurance": "not_evidenced",
    }
    assert answer.disclosed == {}
    assert answer.salts == {}


async def test_a_client_learns_only_the_units_it_was_given(world: World) -> None:
    bank = await world.client(
        "microloan-prescreen", units={"microloan-prescreen": frozenset({"tax-rating", "tax-on-time"})}
    )
    company = await world.subject(COMPANY)
    await evidence(world, company)
    consent = await world.consent(bank, "microloan-prescreen", company)

    answer = body(await world.check(ask(bank, consent))).data

    assert answer.outcome == "met"
    assert [each.id for each in answer.criteria] == ["tax-rating", "tax-on-time"]
    assert answer.disclosed == {}


async def test_the_ledger_entry_holds_commitments_and_no_value(world: World) -> None:
    bank, company = await world.client("microloan-prescreen"), await world.subject(COMPANY)
    await evidence(world, company, grade="M")
    consent = await world.consent(bank, "microloan-prescreen", company)

    result = await world.check(ask(bank, consent, reference="LOAN-1"))

    answer, entry = body(result).data, entry_of(result)
    assert entry["commitments"] == {
        "tax-rating": {"grade": commitment(answer.salts["tax-rating"]["grade"], "M")},
    }
    assert entry["outcome"] == "met"
    assert entry["subject"] == answer.subject
    assert "disclosed" not in entry
    assert "LOAN-1" not in str(entry)
    assert company.identifier.value not in str(entry)


REASONS = {
    "no record": None,
    "below the threshold": {"months": 2},
    "stale": {"months": 24, "days_ago": 63},
    "withheld": {"months": 24},
    "disputed": {"months": 24},
}


@pytest.mark.parametrize("reason", REASONS)
async def test_nothing_tells_why_a_criterion_is_not_evidenced(world: World, reason: str) -> None:
    bike, person = await world.client("bike-deposit", kind="bike-share"), await world.subject(PERSON)
    fields = REASONS[reason]
    if fields is not None:
        record = await world.record(person, "SOCINS_PAID", as_of="2026-08-31", **fields)
        async with world.services.database.transaction() as tx:
            if reason == "withheld":
                await world.services.records.withhold(tx, person.id, "bike-deposit", "SOCINS_PAID")
            if reason == "disputed":
                await world.services.disputes.open(tx, person.id, record)
    consent = await world.consent(bike, "bike-deposit", person)

    result = await world.check(ask(bike, consent))

    answer = body(result).data
    nameless = msgspec.structs.replace(answer, id="", subject="")
    assert msgspec.json.decode(msgspec.json.encode(nameless)) == {
        "id": "",
        "subject": "",
        "scenario": {"id": "bike-deposit", "version": 1, "digest": consent.scenario_digest},
        "outcome": "not_evidenced",
        "criteria": [],
        "disclosed": {},
        "salts": {},
        "as_of": "2026-11-02T08:00:00Z",
        "valid_until": "2026-11-03T08:00:00Z",
        "consent_expires_at": "2027-11-02T08:00:00Z",
    }


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("withdraw", Code.CONSENT_WITHDRAWN),
        ("pause", Code.CONSENT_PAUSED),
        ("expire", Code.CONSENT_EXPIRED),
        ("suspend the partner", Code.PARTNER_SUSPENDED),
        ("disable the client", Code.NOT_ENTITLED),
    ],
)
async def test_a_refusal_under_a_known_consent_has_its_code_and_leaves_a_leaf(
    world: World, end: str, code: Code
) -> None:
    s = world.services
    bike, person = await world.client("bike-deposit", kind="bike-share"), await world.subject(PERSON)
    consent = await world.consent(bike, "bike-deposit", person)
    assert bike.partner_id is not None
    match end:
        case "withdraw":
            await s.consents.withdraw(consent.id, Party.SUBJECT, person.id)
        case "pause":
            await s.consents.pause(consent.id, person.id)
        case "expire":
            world.clock.advance(timedelta(days=365))
        case "suspend the partner":
            async with s.database.transaction() as tx:
                await s.partners.suspend_partner(tx, bike.partner_id)
        case _:
            async with s.database.transaction() as tx:
                await s.partners.disable_client(tx, bike.id)

    refused = await world.check(ask(bike, consent))

    assert isinstance(refused, Refused)
    assert refused.code is code
    assert refused.check_id is not None
    assert await leaves(world, "refusal") == 1
    assert await leaves(world, "check") == 0


async def test_another_scenario_than_the_consented_one_is_refused(world: World) -> None:
    bank = await world.client("bike-deposit", "library-lending")
    consent = await world.consent(bank, "bike-deposit", await world.subject(PERSON))

    refused = await world.check(ask(bank, consent, scenario="library-lending"))

    assert isinstance(refused, Refused)
    assert refused.code is Code.SCENARIO_MISMATCH


@pytest.mark.parametrize(
    "change", [{"published": False}, {"retention_days": 999}, {"name": Text("改名", "Renamed in place")}]
)
async def test_when_its_version_is_unpublished_or_was_edited_the_consent_is_outdated(
    world: World, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    bike = await world.client("bike-deposit")
    consent = await world.consent(bike, "bike-deposit", await world.subject(PERSON))
    edited = msgspec.structs.replace(world.services.scenarios.get("bike-deposit"), **change)
    monkeypatch.setattr(world.services.checks, "_scenarios", Registry([edited]))

    refused = await world.check(ask(bike, consent))

    assert isinstance(refused, Refused)
    assert refused.code is Code.CONSENT_OUTDATED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"retention_days": 999}, Code.CONSENT_OUTDATED),
        ({"retention_days": 1}, None),
        ({"name": Text("改名", "Renamed")}, None),
    ],
)
async def test_a_new_version_asks_again_only_when_it_widens(
    world: World, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], code: Code | None
) -> None:
    bike = await world.client("bike-deposit")
    consent = await world.consent(bike, "bike-deposit", await world.subject(PERSON))
    old = world.services.scenarios.get("bike-deposit")
    monkeypatch.setattr(
        world.services.checks, "_scenarios", Registry([old, msgspec.structs.replace(old, version=2, **change)])
    )

    result = await world.check(ask(bike, consent))

    if code is None:
        assert body(result).data.scenario.version == 2
    else:
        assert isinstance(result, Refused)
        assert result.code is code


async def test_an_unknown_a_foreign_an_unbound_and_a_never_given_consent_are_the_same_and_leave_nothing(
    world: World,
) -> None:
    mine, theirs = await world.client("bike-deposit"), await world.client("bike-deposit")
    person = await world.subject(PERSON)
    foreign = await world.consent(theirs, "bike-deposit", person)
    own = await world.consent(mine, "bike-deposit", person)
    unknown = msgspec.structs.replace(own, id=own.id[:-4] + "zzzz")

    waiting = await world.asked(mine, "bike-deposit")
    rejected = await world.asked(mine, "bike-deposit")
    await world.services.consents.reject(rejected.id, subject_id=person.id, kind=person.kind)

    results = await world.services.checks.run(
        [
            ask(mine, foreign),
            ask(mine, unknown),
            ask(mine, own, bound="cns_of_another_token"),
            ask(mine, waiting),
            ask(mine, rejected),
        ]
    )

    assert results == [Refused(Code.NOT_FOUND, source="/consent_id")] * 5
    assert await leaves(world, "refusal") == 0


async def test_a_once_only_consent_carries_one_check_however_many_race_for_it(world: World) -> None:
    landlord, person = await world.client("home-rental-deposit"), await world.subject(PERSON)
    consent = await world.consent(landlord, "home-rental-deposit", person)

    in_one_batch = await world.services.checks.run([ask(landlord, consent)] * 3)
    others = await asyncio.gather(*(world.services.checks.run([ask(landlord, consent)]) for _ in range(4)))

    results = [*in_one_batch, *(result for (result,) in others)]
    assert [type(result) for result in results].count(Answered) == 1
    assert {result.code for result in results if isinstance(result, Refused)} == {Code.CONSENT_CONSUMED}
    async with world.services.database.read() as tx:
        used = await world.services.consents.find(tx, consent.id)
    assert used.use_count == 1
    assert world.services.consents.state(used) is ConsentState.CONSUMED


async def test_the_same_key_and_request_give_the_same_bytes_and_one_effect(world: World) -> None:
    landlord, person = await world.client("home-rental-deposit"), await world.subject(PERSON)
    consent = await world.consent(landlord, "home-rental-deposit", person)
    same = ask(landlord, consent, key="k1")

    first, twin = await world.services.checks.run([same, same])
    again = await world.check(same)

    assert first == twin == again
    assert isinstance(first, Answered)
    assert await leaves(world, "check") == 1


async def test_a_refusal_is_replayed_too(world: World) -> None:
    bike, person = await world.client("bike-deposit"), await world.subject(PERSON)
    consent = await world.consent(bike, "bike-deposit", person)
    await world.services.consents.pause(consent.id, person.id)
    refused = await world.check(ask(bike, consent, key="k1"))
    await world.services.consents.resume(consent.id, person.id)

    assert await world.check(ask(bike, consent, key="k1")) == refused
    assert isinstance(await world.check(ask(bike, consent, key="k2")), Answered)


async def test_a_key_goes_before_the_check_that_it_names(world: World) -> None:
    bike, person = await world.client("bike-deposit", kind="bike-share"), await world.subject()
    consent = await world.consent(bike, "bike-deposit", person)
    first = await world.check(ask(bike, consent, key="k1"))
    world.clock.advance(AUDIT_KEPT + timedelta(seconds=1))
    assert (await world.services.retention.sweep()).removed == 2
    async with world.services.database.read() as tx:
        assert (await tx.execute(select(idempotency_keys.c.resource))).all() == []
    again = await world.check(ask(bike, consent, key="k1"))
    assert isinstance(again, Refused)
    assert (again.code, again.check_id == first.check_id) == (Code.CONSENT_EXPIRED, False)


async def test_a_key_with_another_request_is_refused_and_belongs_to_one_partner_alone(world: World) -> None:
    bike, other = await world.client("bike-deposit"), await world.client("bike-deposit")
    person = await world.subject(PERSON)
    consent, elsewhere = (
        await world.consent(bike, "bike-deposit", person),
        await world.consent(other, "bike-deposit", person),
    )

    results = await world.services.checks.run(
        [
            ask(bike, consent, key="k1"),
            ask(bike, consent, key="k1", reference="CASE-2"),
            ask(other, elsewhere, key="k1"),
        ]
    )

    assert isinstance(results[0], Answered)
    reused = Refused(Code.IDEMPOTENCY_KEY_REUSED, source="idempotency-key")
    assert results[1] == reused
    assert isinstance(results[2], Answered)
    assert await world.check(ask(bike, consent, key="k1", reference="CASE-3")) == reused


async def test_after_a_withdrawal_answers_are_not_given_again_in_any_way(world: World) -> None:
    bike, person = await world.client("bike-deposit"), await world.subject(PERSON)
    consent = await world.consent(bike, "bike-deposit", person)
    answered = await world.check(ask(bike, consent, key="k1"))
    assert isinstance(answered, Answered)
    assert bike.partner_id is not None
    read = partial(
        world.services.checks.get,
        client_id=bike.id,
        partner_id=bike.partner_id,
        bound_consent_id=None,
        check_id=answered.check_id,
    )
    assert await read() == answered

    await world.services.consents.withdraw(consent.id, Party.SUBJECT, person.id)

    refused = Refused(Code.CONSENT_WITHDRAWN, answered.check_id)
    assert await world.check(ask(bike, consent, key="k1")) == refused
    assert await read() == refused


async def test_a_consumed_or_expired_consent_does_not_block_its_own_answers(world: World) -> None:
    landlord, person = await world.client("home-rental-deposit"), await world.subject(PERSON)
    consent = await world.consent(landlord, "home-rental-deposit", person)
    answered = await world.check(ask(landlord, consent, key="k1"))
    world.clock.advance(timedelta(days=8))

    assert await world.check(ask(landlord, consent, key="k1")) == answered


async def test_answers_are_given_again_only_as_long_as_the_partner_may_keep_them(world: World) -> None:
    landlord, person = await world.client("home-rental-deposit"), await world.subject(PERSON)
    consent = await world.consent(landlord, "home-rental-deposit", person)
    answered = await world.check(ask(landlord, consent, key="k1"))
    assert isinstance(answered, Answered)
    world.clock.advance(timedelta(days=world.services.scenarios.get("home-rental-deposit").retention_days))

    assert await world.check(ask(landlord, consent, key="k1")) == Refused(Code.CONSENT_EXPIRED, answered.check_id)


async def test_while_the_subject_pauses_answers_are_not_given_again(world: World) -> None:
    bike, person = await world.client("bike-deposit"), await world.subject(PERSON)
    consent = await world.consent(bike, "bike-deposit", person)
    answered = await world.check(ask(bike, consent, key="k1"))
    assert isinstance(answered, Answered)
    await world.services.consents.pause(consent.id, person.id)
    assert await world.check(ask(bike, consent, key="k1")) == Refused(Code.CONSENT_PAUSED, answered.check_id)

    await world.services.consents.resume(consent.id, person.id)

    assert await world.check(ask(bike, consent, key="k1")) == answered


@pytest.mark.parametrize("together", [False, True])
async def test_a_replay_is_only_for_whom_the_check_would_be(world: World, together: bool) -> None:
    s = world.services
    bike, person = await world.client("bike-deposit"), await world.subject(PERSON)
    consent = await world.consent(bike, "bike-deposit", person)
    assert bike.partner_id is not None
    async with s.database.transaction() as tx:
        poor = await s.partners.add_client(tx, bike.partner_id, "poor", bike.jwks, scenarios={"library-lending": None})
    first = ask(bike, consent, key="k1")
    others = [
        ask(bike, consent, key="k1", bound="cns_of_another_token"),
        msgspec.structs.replace(first, client_id=poor.id),
    ]

    if together:
        answered, *results = await s.checks.run([first, *others])
    else:
        (answered,), results = await s.checks.run([first]), await s.checks.run(others)

    assert isinstance(answered, Answered)
    assert results == [Refused(Code.NOT_FOUND, source="/consent_id"), Refused(Code.NOT_ENTITLED, answered.check_id)]


@pytest.mark.parametrize("end", ["disable the client", "suspend the partner"])
async def test_who_may_not_act_is_given_nothing_again(world: World, end: str) -> None:
    s = world.services
    bike, person = await world.client("bike-deposit"), await world.subject(PERSON)
    consent = await world.consent(bike, "bike-deposit", person)
    answered = await world.check(ask(bike, consent, key="k1"))
    assert isinstance(answered, Answered)
    assert bike.partner_id is not None
    async with s.database.transaction() as tx:
        if end == "disable the client":
            await s.partners.disable_client(tx, bike.id)
        else:
            await s.partners.suspend_partner(tx, bike.partner_id)

    replayed = await world.check(ask(bike, consent, key="k1"))
    read = await s.checks.get(
        client_id=bike.id, partner_id=bike.partner_id, bound_consent_id=None, check_id=answered.check_id
    )

    code = Code.NOT_ENTITLED if end == "disable the client" else Code.PARTNER_SUSPENDED
    assert replayed == read == Refused(code, answered.check_id)


async def test_partners_cannot_read_each_others_checks(world: World) -> None:
    bike, other = await world.client("bike-deposit"), await world.client("bike-deposit")
    consent = await world.consent(bike, "bike-deposit", await world.subject(PERSON))
    answered = await world.check(ask(bike, consent))
    assert isinstance(answered, Answered)
    assert other.partner_id is not None
    assert bike.partner_id is not None

    foreign = await world.services.checks.get(
        client_id=other.id, partner_id=other.partner_id, bound_consent_id=None, check_id=answered.check_id
    )
    unbound = await world.services.checks.get(
        client_id=bike.id, partner_id=bike.partner_id, bound_consent_id="cns_other", check_id=answered.check_id
    )

    assert foreign == unbound == Refused(Code.NOT_FOUND)


async def test_when_the_commit_fails_nothing_is_answered_and_nothing_is_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    landlord, person = await world.client("home-rental-deposit"), await world.subject(PERSON)
    consent = await world.consent(landlord, "home-rental-deposit", person)

    async def broken(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("xinyi.checks.repo.add", broken)
        with pytest.raises(Exception, match="unavailable"):
            await world.services.checks.run([ask(landlord, consent, key="k1")])

    async with world.services.database.read() as tx:
        for table in (checks, idempotency_keys):
            assert (await tx.execute(select(func.count()).select_from(table))).scalar_one() == 0
        assert (await world.services.consents.find(tx, consent.id)).use_count == 0
    assert await leaves(world, "check") == 0
    assert isinstance(await world.check(ask(landlord, consent, key="k1")), Answered)
