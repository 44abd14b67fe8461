"""What happens to consents is told, whoever or whatever causes it, and no record speaks in it."""

from tests.support.events import Told
from tests.support.world import NEIGHBOUR, ask
from xinyi.checks.model import Answered
from xinyi.consents.events import CONSUMED, EXPIRING
from xinyi.consents.model import Consent, Event, Party
from xinyi.events.model import EventType


def test_each_change_of_a_consent_has_its_type():
    """But for the request, which the partner makes itself."""
    changes = {f"consent.{change}" for change in {*Event, CONSUMED, EXPIRING} - {Event.REQUESTED}}
    assert changes == {type_.value for type_ in EventType if type_.startswith("consent.")}


async def test_the_life_of_a_consent_is_told(told: Told):
    world, consents = told.world, told.world.services.consents
    bike, person = await world.client("bike-deposit", kind="bike-share"), await world.subject()
    assert bike.partner_id is not None
    await told.subscribe(partner=bike.partner_id)
    consent = await world.consent(bike, "bike-deposit", person)
    await consents.pause(consent.id, person.id)
    await consents.resume(consent.id, person.id)
    await consents.withdraw(consent.id, by=Party.SUBJECT, who=person.id)
    await told.tell()

    found, _ = await told.events.after(bike.partner_id, None, [], 10)
    ids = [each.event.id for each in found]
    events = sorted((message.event for message in told.receiver.taken), key=lambda event: ids.index(event["id"]))
    assert [event["type"].removeprefix("consent.") for event in events] == [
        "authorised",
        "paused",
        "resumed",
        "withdrawn",
    ]
    assert {event["data"]["consent_id"] for event in events} == {consent.id}
    assert (events[-1]["data"]["reason"], events[-1]["data"]["ended_by"]) == ("withdrawn_by_subject", "subject")


async def test_a_check_that_uses_a_consent_up_is_told_and_others_are_not(told: Told):
    world = told.world
    client, person = await world.client("hotel-deposit", "bike-deposit", kind="hotel"), await world.subject()
    assert client.partner_id is not None
    await told.subscribe(told.receiver, EventType.CONSENT_CONSUMED, partner=client.partner_id)
    once, recurring = [await world.consent(client, each, person) for each in ("hotel-deposit", "bike-deposit")]
    for consent in (once, once, recurring):  # the second one is refused
        await world.check(ask(client, consent))
    await told.tell()

    [message] = told.receiver.taken
    data = message.event["data"]
    assert (data["consent_id"], data["state"], data["reason"]) == (once.id, "consumed", "used_up")


async def test_time_is_told_as_well(told: Told):
    world = told.world
    hotel, person = await world.client("hotel-deposit", kind="hotel"), await world.subject()
    assert hotel.partner_id is not None
    await told.subscribe(partner=hotel.partner_id)
    await world.consent(hotel, "hotel-deposit", person)
    for _ in range(16):
        await world.services.consent_sweep.run()
        await told.pass_time(hours=12)
    assert [message.event["type"] for message in told.receiver.taken] == [
        "consent.authorised",
        "consent.expiring",
        "consent.expired",
    ]


async def test_no_event_depends_on_a_record(told: Told):
    """Of two subjects, one with records that meet the criteria and one with none, the same is told."""
    world = told.world
    hotel = await world.client("hotel-deposit", kind="hotel")
    assert hotel.partner_id is not None
    known, unknown = await world.subject(), await world.subject(NEIGHBOUR)
    await world.record(known, "HPF_PAID", months=24, as_of="2026-10-31")
    consents = [await world.consent(hotel, "hotel-deposit", person) for person in (known, unknown)]
    outcomes = [await world.check(ask(hotel, consent)) for consent in consents]
    assert [b'"met"' in answer.body for answer in outcomes if isinstance(answer, Answered)] == [True, False]
    await told.tell()
    found, _ = await told.events.after(hotel.partner_id, None, [], 10)

    def of(consent: Consent) -> list[tuple[str, dict[str, object]]]:
        mine = [each.event for each in found if each.event.data["consent_id"] == consent.id]
        return [(event.type, {**event.data, "consent_id": ""}) for event in mine]

    assert of(consents[0]) == of(consents[1])
    assert len(of(consents[0])) == 2
