"""Notices after checks: to those who want one, once, and never with what was answered."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.letterbox import Letterbox, listening
from tests.support.pairs import Pair
from tests.support.world import Subject, World, ask, new_world
from xinyi.consents.model import Consent
from xinyi.kernel.text import Language, Text
from xinyi.partners.model import Client
from xinyi.portal.model import Preferences
from xinyi.portal.notices import SETTLED

pytestmark = pytest.mark.anyio
SCENARIO = "bike-deposit"
ADDRESS = "resident@people.example"
A_MOMENT = SETTLED + timedelta(seconds=1)


@pytest.fixture
def letterbox() -> Letterbox:
    return Letterbox()


@pytest.fixture
async def world(tmp_path: Path, pair: Pair, letterbox: Letterbox) -> AsyncGenerator[World]:
    async with listening(letterbox) as mail, new_world(tmp_path, pair, **mail) as fresh:
        yield fresh


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(SCENARIO)


@pytest.fixture
async def person(world: World) -> Subject:
    person = await world.subject()
    async with world.services.database.transaction() as tx:
        await world.services.subjects.remember_email(tx, person.id, ADDRESS)
    return person


@pytest.fixture
async def consent(world: World, client: Client, person: Subject) -> Consent:
    return await world.consent(client, SCENARIO, person)


async def passes(world: World) -> None:
    world.clock.advance(A_MOMENT)
    await world.services.consent_sweep.run()


async def test_who_wants_it_is_told_once_of_each_check_and_not_what_was_answered(
    world: World, client: Client, person: Subject, consent: Consent, letterbox: Letterbox
) -> None:
    await world.check(ask(client, consent, reference="BEFORE"))
    world.clock.advance(timedelta(seconds=1))
    await world.services.portal.prefer(person.id, Preferences(True))
    await passes(world)
    assert letterbox.taken == [], "earlier checks are no news"
    await world.check(ask(client, consent, reference="RIDE-1"))
    await passes(world)
    await passes(world)
    [(to, message)] = letterbox.taken
    text = message.get_content()
    assert to == [ADDRESS]
    assert "示例机构 · 信易行·共享单车免押" in text
    assert "http://127.0.0.1:8000/me/access-log" in text
    assert not any(word in text for word in ("RIDE-1", "met", "佐证", person.identifier.value))


async def test_a_notice_says_which_branch_asked(
    world: World, client: Client, person: Subject, letterbox: Letterbox
) -> None:
    assert client.partner_id is not None
    s, who = world.services, {"subject_id": person.id, "kind": person.kind}
    async with s.database.transaction() as tx:
        branch = await s.partners.add_sub_party(tx, client.partner_id, Text("示例支行", "Sample Branch"))
        asked = await s.consents.request(tx, client, s.scenarios.get(SCENARIO), None, branch)
    _, notice = await s.consents.show(asked.id, language=Language.ZH, **who)
    await s.consents.authorise(asked.id, notice_digest=notice.digest, language=Language.ZH, **who)
    await s.portal.prefer(person.id, Preferences(True))
    await world.check(ask(client, asked))
    await passes(world)
    [(_, message)] = letterbox.taken
    assert "示例机构（示例支行） · 信易行·共享单车免押" in message.get_content()


async def test_who_does_not_want_it_gets_none(
    world: World, client: Client, person: Subject, consent: Consent, letterbox: Letterbox
) -> None:
    await world.services.portal.prefer(person.id, Preferences(True))
    await world.services.portal.prefer(person.id, Preferences(False))
    await world.check(ask(client, consent))
    await passes(world)
    assert letterbox.taken == []


async def test_what_the_mail_server_refuses_is_told_later(
    world: World, client: Client, person: Subject, consent: Consent, letterbox: Letterbox
) -> None:
    await world.services.portal.prefer(person.id, Preferences(True))
    await world.check(ask(client, consent))
    letterbox.answer = "451 later"
    await passes(world)
    letterbox.answer = "250 OK"
    await passes(world)
    assert len(letterbox.taken) == 1


async def test_nobody_without_an_address_is_written_to(
    world: World, client: Client, person: Subject, consent: Consent, letterbox: Letterbox
) -> None:
    async with world.services.database.transaction() as tx:
        await world.services.subjects.remember_email(tx, person.id, None)
    await world.services.portal.prefer(person.id, Preferences(True))
    await world.check(ask(client, consent))
    await passes(world)
    assert letterbox.taken == []
    assert (await world.services.portal.inbox(person.id)).new_uses == 1
