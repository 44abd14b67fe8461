"""Who may change a consent, when, and what each change leaves behind."""

import secrets
from base64 import urlsafe_b64encode
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from sqlalchemy import select

from tests.support.pairs import Pair
from tests.support.world import COMPANY, PERSON, Subject, World, ask
from xinyi.checks.model import Answered, Refused
from xinyi.consents import repo
from xinyi.consents.model import ANSWER_WITHIN, Consent, ConsentState, EndReason, Party
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Language
from xinyi.ledger.tables import ledger_entries
from xinyi.partners.model import Client
from xinyi.sandbox import identities
from xinyi.wiring import Services

pytestmark = pytest.mark.anyio
SCENARIO = "bike-deposit"
OTHER_PERSON = identities.person(1, date(1991, 1, 1), 8)


async def answer(world: World, consent: Consent, subject: Subject, *, agree: bool = True, **other: Any) -> Consent:
    """The subject's answer to what they are shown."""
    service = world.services.consents
    who: Any = {"subject_id": subject.id, "kind": subject.kind}
    if not agree:
        return await service.reject(consent.id, **who)
    async with world.services.database.read() as tx:
        notice = await service.notice(tx, consent, Language.ZH)
    given: Any = {"notice_digest": notice.digest, "language": Language.ZH, **other}
    return await service.authorise(consent.id, **who, **given)


async def leaves(world: World) -> list[dict[str, Any]]:
    """The entries about consents that the ledger holds, oldest first."""
    async with world.services.database.read() as tx:
        rows = await tx.execute(select(ledger_entries.c.body).order_by(ledger_entries.c.leaf_index))
        return [msgspec.json.decode(row.body) for row in rows]


async def stored(world: World, consent_id: str) -> Consent:
    async with world.services.database.read() as tx:
        return (await repo.load(tx, [consent_id]))[consent_id]


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(SCENARIO, "home-rental-deposit", "microloan-prescreen")


@pytest.fixture
async def subject(world: World) -> Subject:
    return await world.subject()


async def test_agreeing_sets_the_scenarios_term_from_that_moment(
    world: World, client: Client, subject: Subject
) -> None:
    asked = await world.asked(client, SCENARIO)
    world.clock.advance(timedelta(minutes=5))
    given = await answer(world, asked, subject)
    assert given.authorised_at == world.clock.now()
    assert given.expires_at == world.clock.now() + timedelta(days=365)
    assert given == await stored(world, given.id)


async def test_the_consent_keeps_the_digest_of_the_notice_that_was_shown(
    world: World, client: Client, subject: Subject
) -> None:
    """L06."""
    asked = await world.asked(client, SCENARIO)
    _, notice = await world.services.consents.show(
        asked.id, subject_id=subject.id, kind=subject.kind, language=Language.EN
    )
    given = await answer(world, asked, subject, notice_digest=notice.digest, language=Language.EN)
    assert (given.notice_digest, given.language) == (notice.digest, Language.EN)


async def test_nobody_agrees_to_a_notice_other_than_the_present_one(
    world: World, client: Client, subject: Subject
) -> None:
    asked = await world.asked(client, SCENARIO)
    with pytest.raises(XinyiError) as refused:
        await answer(world, asked, subject, notice_digest="sha-256:another")
    assert refused.value.code is Code.WRONG_STATE


async def test_units_are_what_scenario_and_client_both_allow(world: World) -> None:
    """L01."""
    client = await world.client("microloan-prescreen", units={"microloan-prescreen": frozenset({"tax-rating", "x"})})
    asked = await world.asked(client, "microloan-prescreen")
    assert asked.units == ("tax-rating",)


async def test_a_client_cannot_ask_for_a_scenario_it_was_not_given(world: World) -> None:
    client = await world.client(SCENARIO)
    with pytest.raises(XinyiError) as refused:
        await world.asked(client, "microloan-prescreen")
    assert refused.value.code is Code.NOT_ENTITLED


async def test_a_suspended_partner_can_neither_ask_nor_be_granted(
    world: World, client: Client, subject: Subject
) -> None:
    asked = await world.asked(client, SCENARIO)
    assert client.partner_id is not None
    async with world.services.database.transaction() as tx:
        await world.services.partners.suspend_partner(tx, client.partner_id)
    async with world.services.database.read() as tx:
        suspended = await world.services.partners.client(tx, client.id)
    assert suspended is not None
    for attempt in (world.asked(suspended, SCENARIO), answer(world, asked, subject)):
        with pytest.raises(XinyiError) as refused:
            await attempt
        assert refused.value.code is Code.PARTNER_SUSPENDED


async def test_an_unanswered_request_cannot_be_answered_after_an_hour(
    world: World, client: Client, subject: Subject
) -> None:
    asked = await world.asked(client, SCENARIO)
    world.clock.advance(ANSWER_WITHIN)
    for agree in (True, False):
        with pytest.raises(XinyiError) as refused:
            await answer(world, asked, subject, agree=agree)
        assert refused.value.code is Code.WRONG_STATE


async def test_only_the_named_subject_can_answer_and_every_other_meets_the_same_refusal(
    world: World, client: Client, subject: Subject
) -> None:
    asked = await world.asked(client, SCENARIO, subject)
    stranger, company = await world.subject(OTHER_PERSON), await world.subject(COMPANY)
    for wrong in (stranger, company):
        for agree in (True, False):
            with pytest.raises(XinyiError) as refused:
                await answer(world, asked, wrong, agree=agree)
            assert (refused.value.code, refused.value.detail) == (Code.NOT_ENTITLED, None)
    assert (await answer(world, asked, subject)).subject_id == subject.id


@pytest.mark.parametrize("rotated", ["after the request", "before the request"])
async def test_the_named_subject_can_answer_whatever_version_the_key_has(
    world: World, client: Client, subject: Subject, pair: Pair, tmp_path: Path, rotated: str
) -> None:
    if rotated == "after the request":
        asked = await world.asked(client, SCENARIO, subject)
    rotate_subject_hash(tmp_path / "keys")
    async with Services.build(pair.settings(tmp_path), world.clock).opened() as services:
        later = World(services, world.clock)
        if rotated == "before the request":
            asked = await later.asked(client, SCENARIO, await later.subject(subject.identifier))
            assert asked.named_subject != subject.key
        with pytest.raises(XinyiError):
            await answer(later, asked, await later.subject(OTHER_PERSON))
        assert (await answer(later, asked, subject)).subject_id == subject.id


def rotate_subject_hash(folder: Path) -> None:
    """What an operator does to make new hashes with a new key."""
    path = folder / "secrets.json"
    document = msgspec.json.decode(path.read_bytes())
    document["subject_hash"]["versions"]["v2"] = urlsafe_b64encode(secrets.token_bytes(32)).decode()
    document["subject_hash"]["current"] = "v2"
    path.write_bytes(msgspec.json.encode(document))


async def test_a_company_cannot_answer_for_a_person(world: World, client: Client) -> None:
    asked = await world.asked(client, SCENARIO)
    company = await world.subject(COMPANY)
    with pytest.raises(XinyiError) as refused:
        await world.services.consents.show(asked.id, subject_id=company.id, kind=company.kind, language=Language.ZH)
    assert (refused.value.code, refused.value.detail) == (Code.NOT_ENTITLED, None)


async def test_asking_is_alike_for_known_and_unknown_subjects(world: World, client: Client, subject: Subject) -> None:
    known = await world.asked(client, SCENARIO, subject)
    unknown = await world.asked(
        client, SCENARIO, Subject("", OTHER_PERSON, world.services.subjects.key_of(OTHER_PERSON))
    )
    same = {"id", "named_subject"}
    assert {k: v for k, v in msgspec.structs.asdict(known).items() if k not in same} == {
        k: v for k, v in msgspec.structs.asdict(unknown).items() if k not in same
    }


async def test_a_refusal_tells_the_partner_nothing_about_who_refused(
    world: World, client: Client, subject: Subject
) -> None:
    rejected = await answer(world, await world.asked(client, SCENARIO), subject, agree=False)
    assert world.services.consents.state(rejected) is ConsentState.REJECTED
    assert world.services.consents.pairwise(rejected) is None
    assert (await leaves(world))[-1]["subject"] is None


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        (Party.SUBJECT, EndReason.WITHDRAWN_BY_SUBJECT),
        (Party.PARTNER, EndReason.GIVEN_UP_BY_PARTNER),
        (Party.OPERATOR, EndReason.ENDED_BY_OPERATOR),
    ],
)
async def test_each_side_can_end_a_consent_and_the_end_says_who(
    world: World, client: Client, subject: Subject, by: Party, reason: EndReason
) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    who = {Party.SUBJECT: subject.id, Party.PARTNER: consent.partner_id, Party.OPERATOR: "ops"}[by]
    ended = await world.services.consents.withdraw(consent.id, by, who)
    assert world.services.consents.state(ended) is ConsentState.WITHDRAWN
    assert (ended.ended_by, ended.end_reason) == (by, reason)


async def test_a_second_withdrawal_changes_nothing(world: World, client: Client, subject: Subject) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    first = await world.services.consents.withdraw(consent.id, Party.SUBJECT, subject.id)
    count = len(await leaves(world))
    world.clock.advance(timedelta(minutes=1))
    assert await world.services.consents.withdraw(consent.id, Party.SUBJECT, subject.id) == first
    assert len(await leaves(world)) == count


async def test_a_pause_can_be_undone_and_does_not_prolong_the_consent(
    world: World, client: Client, subject: Subject
) -> None:
    service = world.services.consents
    consent = await world.consent(client, SCENARIO, subject)
    paused = await service.pause(consent.id, subject.id)
    assert service.state(paused) is ConsentState.PAUSED
    world.clock.advance(timedelta(days=3))
    resumed = await service.resume(consent.id, subject.id)
    assert service.state(resumed) is ConsentState.AUTHORISED
    assert resumed.expires_at == consent.expires_at


async def test_what_does_not_fit_the_state_is_refused_and_changes_nothing(
    world: World, client: Client, subject: Subject
) -> None:
    service = world.services.consents
    consent = await world.consent(client, SCENARIO, subject)
    with pytest.raises(XinyiError) as resumed:
        await service.resume(consent.id, subject.id)
    with pytest.raises(XinyiError) as answered:
        await answer(world, consent, subject)
    unanswered = await world.asked(client, SCENARIO)
    world.clock.advance(ANSWER_WITHIN)
    with pytest.raises(XinyiError) as given_up:
        await service.withdraw(unanswered.id, Party.PARTNER, unanswered.partner_id)
    world.clock.advance(timedelta(days=365))
    with pytest.raises(XinyiError) as paused:
        await service.pause(consent.id, subject.id)
    assert {error.value.code for error in (resumed, answered, given_up, paused)} == {Code.WRONG_STATE}
    assert await stored(world, consent.id) == consent


@pytest.mark.parametrize("ended", ["used up", "time is over"])
@pytest.mark.parametrize("by", [Party.SUBJECT, Party.PARTNER])
async def test_what_has_run_its_course_can_be_withdrawn_and_its_answers_are_not_given_again(
    world: World, client: Client, subject: Subject, by: Party, ended: str
) -> None:
    consent = await world.consent(client, "home-rental-deposit", subject)
    answered = await world.check(ask(client, consent))
    assert isinstance(answered, Answered)
    if ended == "time is over":
        world.clock.advance(timedelta(days=30))
    who = subject.id if by is Party.SUBJECT else consent.partner_id
    withdrawn = await world.services.consents.withdraw(consent.id, by, who)
    assert world.services.consents.state(withdrawn) is ConsentState.WITHDRAWN
    again = await world.services.checks.get(
        client_id=client.id, partner_id=consent.partner_id, bound_consent_id=None, check_id=answered.check_id
    )
    assert isinstance(again, Refused)
    assert again.code is Code.CONSENT_WITHDRAWN


async def test_anothers_consent_is_the_same_as_none(world: World, client: Client, subject: Subject) -> None:
    service = world.services.consents
    consent = await world.consent(client, SCENARIO, subject)
    absent = consent.id[:-1] + ("0" if consent.id[-1] != "0" else "1")
    for consent_id in (consent.id, absent, "nonsense", "cns_\x00"):
        for attempt in (
            service.withdraw(consent_id, Party.SUBJECT, "sub_other"),
            service.withdraw(consent_id, Party.PARTNER, "prt_other"),
            service.pause(consent_id, "sub_other"),
            service.resume(consent_id, "sub_other"),
            service.of_partner(consent_id, "prt_other"),
        ):
            with pytest.raises(XinyiError) as refused:
                await attempt
            assert (refused.value.code, refused.value.detail) == (Code.NOT_FOUND, None)


async def test_every_change_leaves_one_salted_leaf_that_names_no_identifier(
    world: World, client: Client, subject: Subject
) -> None:
    service = world.services.consents
    consent = await world.consent(client, SCENARIO, subject)
    await service.pause(consent.id, subject.id)
    await service.resume(consent.id, subject.id)
    await service.withdraw(consent.id, Party.SUBJECT, subject.id)
    found = await leaves(world)
    assert [leaf["event"] for leaf in found] == ["requested", "authorised", "paused", "resumed", "withdrawn"]
    assert {leaf["id"] for leaf in found} == {consent.id}
    pairwise = world.services.subjects.pairwise(subject.id, consent.partner_id)
    assert [leaf["subject"] for leaf in found] == [None, *[pairwise] * 4]
    assert len({leaf["salt"] for leaf in found}) == len(found)
    text = msgspec.json.encode(found).decode()
    assert subject.id not in text
    assert PERSON.value not in text


async def test_uses_are_counted_and_a_once_only_consent_is_consumed_by_one_statement(
    world: World, client: Client, subject: Subject
) -> None:
    once = await world.consent(client, "home-rental-deposit", subject)
    recurring = await world.consent(client, SCENARIO, subject)
    async with world.services.database.transaction() as tx:
        await repo.count_uses(tx, {once.id: 1, recurring.id: 3}, world.clock.now())
    once, recurring = await stored(world, once.id), await stored(world, recurring.id)
    assert world.services.consents.state(once) is ConsentState.CONSUMED
    assert (once.use_count, once.ended_by, once.end_reason) == (1, Party.PARTNER, EndReason.USED_UP)
    assert world.services.consents.state(recurring) is ConsentState.AUTHORISED
    assert recurring.use_count == 3


async def test_of_two_answers_at_once_one_wins(world: World, client: Client, subject: Subject) -> None:
    asked = await world.asked(client, SCENARIO)
    outcomes: list[Code | None] = []

    async def try_to(agree: bool) -> None:
        try:
            await answer(world, asked, subject, agree=agree)
            outcomes.append(None)
        except XinyiError as error:
            outcomes.append(error.code)

    async with anyio.create_task_group() as group:
        for agree in (True, False, True, False):
            group.start_soon(try_to, agree)
    assert sorted(outcomes, key=str) == [None, *[Code.WRONG_STATE] * 3]


async def test_a_subject_lists_what_they_answered_newest_first(world: World, client: Client, subject: Subject) -> None:
    first = await world.consent(client, SCENARIO, subject)
    world.clock.advance(timedelta(seconds=1))
    second = await world.consent(client, "home-rental-deposit", subject)
    await world.consent(client, SCENARIO, await world.subject(OTHER_PERSON))
    mine = await world.services.consents.of_subject(subject.id)
    assert [consent.id for consent in mine] == [second.id, first.id]


async def test_agreeing_anew_ends_the_earlier_consent_with_a_leaf_of_its_own(
    world: World, client: Client, subject: Subject
) -> None:
    earlier = await answer(world, await world.asked(client, SCENARIO), subject)
    await world.services.consents.pause(earlier.id, subject.id)
    world.clock.advance(timedelta(days=1))
    given = await answer(world, await world.asked(client, SCENARIO), subject)
    ended = await stored(world, earlier.id)
    assert (ended.ended_as, ended.ended_by, ended.end_reason, ended.ended_at) == (
        ConsentState.WITHDRAWN,
        Party.SUBJECT,
        EndReason.SUPERSEDED,
        given.authorised_at,
    )
    told = [(leaf["id"], leaf["event"], leaf["reason"]) for leaf in (await leaves(world))[-2:]]
    assert told == [(earlier.id, "withdrawn", "superseded"), (given.id, "authorised", None)]


async def test_agreeing_ends_nothing_of_another_scenario_client_or_subject_and_no_consent_for_one_check(
    world: World, client: Client, subject: Subject
) -> None:
    other_client, other_subject = await world.client(SCENARIO), await world.subject(OTHER_PERSON)
    kept = [
        await answer(world, await world.asked(other_client, SCENARIO), subject),
        await answer(world, await world.asked(client, SCENARIO), other_subject),
        await answer(world, await world.asked(client, "home-rental-deposit"), subject),
        await answer(world, await world.asked(client, "home-rental-deposit"), subject),
    ]
    await answer(world, await world.asked(client, SCENARIO), subject)
    assert [await stored(world, each.id) for each in kept] == kept


async def test_what_ended_before_keeps_its_end(world: World, client: Client, subject: Subject) -> None:
    withdrawn = await answer(world, await world.asked(client, SCENARIO), subject)
    withdrawn = await world.services.consents.withdraw(withdrawn.id, Party.SUBJECT, subject.id)
    expired = await answer(world, await world.asked(client, SCENARIO), subject)
    world.clock.advance(timedelta(days=365))
    await answer(world, await world.asked(client, SCENARIO), subject)
    assert await stored(world, withdrawn.id) == withdrawn
    assert await stored(world, expired.id) == expired


async def test_of_two_answers_at_once_one_remains(world: World, client: Client, subject: Subject) -> None:
    asked = [await world.asked(client, SCENARIO) for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for each in asked:
            tasks.start_soon(answer, world, each, subject)
    states = [world.services.consents.state(await stored(world, each.id)) for each in asked]
    assert sorted(states) == [ConsentState.AUTHORISED, *[ConsentState.WITHDRAWN] * 3]
