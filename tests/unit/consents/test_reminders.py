"""Reminders by e-mail: to verified addresses alone, at least once, and nothing that a partner sees depends on them."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.support.letterbox import Letterbox, listening
from tests.support.pairs import Pair
from tests.support.world import NEIGHBOUR, PERSON, Subject, World, new_world
from xinyi.consents.asking import Ask
from xinyi.consents.tables import mails
from xinyi.kernel.text import Text
from xinyi.partners.model import Client
from xinyi.settings import SettingsError
from xinyi.subjects.model import Identifier
from xinyi.subjects.tables import subjects

pytestmark = pytest.mark.anyio
SCENARIO = "bike-deposit"
ADDRESS = "resident@people.example"


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
async def subject(world: World) -> Subject:
    """Whose sign-in vouched for an address."""
    found = await world.subject(PERSON)
    async with world.services.database.transaction() as tx:
        await world.services.subjects.remember_email(tx, found.id, ADDRESS)
    return found


async def reminded(
    world: World, client: Client, identifier: Identifier = PERSON, *, sub_party: str | None = None
) -> str:
    """An ask of this subject, with its reminder."""
    assert client.partner_id is not None
    ask = Ask(
        client_id=client.id,
        partner_id=client.partner_id,
        scenario_id=SCENARIO,
        version=None,
        identifier=identifier.value,
        kind=None,
        sub_party=sub_party,
    )
    consent = await world.services.asks.ask(ask)
    await world.services.asks.remind(consent.id, client.partner_id)
    return consent.id


async def waiting(world: World) -> int:
    async with world.services.database.read() as tx:
        count: int = (await tx.execute(select(func.count()).select_from(mails))).scalar_one()
    return count


async def test_a_reminder_says_who_asks_and_leads_to_the_page(
    world: World, client: Client, subject: Subject, letterbox: Letterbox
) -> None:
    consent_id = await reminded(world, client)
    assert letterbox.taken == [], "nothing is sent while the partner waits"
    await world.services.consent_sweep.run()
    ((to, message),) = letterbox.taken
    text = message.get_content()
    assert to == [ADDRESS]
    assert message["from"] == "no-reply@credit-centre.example"
    assert f"http://127.0.0.1:8000/consents/{consent_id}" in text
    assert text.index("示例机构") < text.index("Sample Partner"), "Chinese first"
    assert "不同意都可以" in text
    assert "rights@credit-centre.example" in text
    assert PERSON.value not in text
    await world.services.consent_sweep.run()
    assert (len(letterbox.taken), await waiting(world)) == (1, 0)


async def test_a_reminder_says_which_branch_asks(
    world: World, client: Client, subject: Subject, letterbox: Letterbox
) -> None:
    assert client.partner_id is not None
    async with world.services.database.transaction() as tx:
        branch = await world.services.partners.add_sub_party(tx, client.partner_id, Text("示例支行", "Sample Branch"))
    await reminded(world, client, sub_party=branch.id)
    await world.services.consent_sweep.run()
    [(_, message)] = letterbox.taken
    assert all(name in message.get_content() for name in ("示例机构（示例支行）", "Sample Partner (Sample Branch)"))


async def test_nobody_without_a_verified_address_gets_mail(
    world: World, client: Client, subject: Subject, letterbox: Letterbox
) -> None:
    async with world.services.database.transaction() as tx:
        await world.services.subjects.remember_email(tx, subject.id, None)
    await reminded(world, client)
    await reminded(world, client, NEIGHBOUR)  # not even known
    assert await waiting(world) == 2, "queued alike"
    await world.services.consent_sweep.run()
    assert (letterbox.taken, await waiting(world)) == ([], 0)


async def test_what_the_mail_server_refuses_is_tried_again_until_it_is_too_late(
    world: World, client: Client, subject: Subject, letterbox: Letterbox
) -> None:
    letterbox.answer = "451 later"
    await reminded(world, client)
    await world.services.consent_sweep.run()
    await world.services.consent_sweep.run()
    assert (letterbox.taken, await waiting(world)) == ([], 1)
    letterbox.answer = "250 OK"
    world.clock.advance(timedelta(minutes=5))
    await world.services.consent_sweep.run()
    assert (len(letterbox.taken), await waiting(world)) == (1, 0)


async def test_an_address_that_is_none_keeps_nobody_elses_mail_back_and_repeats_none(
    world: World, client: Client, subject: Subject, letterbox: Letterbox
) -> None:
    neighbour = await world.subject(NEIGHBOUR)
    async with world.services.database.transaction() as tx:
        await world.services.subjects.remember_email(tx, neighbour.id, "who..ever@people.example")
    await reminded(world, client)
    await reminded(world, client, NEIGHBOUR)
    await world.services.consent_sweep.run()
    world.clock.advance(timedelta(minutes=5))
    await world.services.consent_sweep.run()
    assert [to for to, _ in letterbox.taken] == [[ADDRESS]]


async def test_a_mail_that_is_too_late_is_not_sent(
    world: World, client: Client, subject: Subject, letterbox: Letterbox
) -> None:
    await reminded(world, client)
    world.clock.advance(timedelta(hours=1))
    await world.services.consent_sweep.run()
    assert (letterbox.taken, await waiting(world)) == ([], 0)


async def test_an_extension_is_reminded_of_too(
    world: World, client: Client, subject: Subject, letterbox: Letterbox
) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    assert client.partner_id is not None
    world.clock.advance(timedelta(days=300))
    await world.services.extensions.request(consent.id, partner_id=client.partner_id, client_id=client.id, days=None)
    await world.services.asks.remind(consent.id, client.partner_id)
    await world.services.consent_sweep.run()
    assert [to for to, _ in letterbox.taken] == [[ADDRESS]]


async def test_an_address_is_stored_sealed(world: World, subject: Subject) -> None:
    async with world.services.database.read() as tx:
        row = (await tx.execute(select(subjects).where(subjects.c.id == subject.id))).one()
        assert ADDRESS.encode() not in bytes(row.email_sealed)
        assert await world.services.subjects.email_of(tx, subject.id) == ADDRESS


def test_mail_needs_a_sender(tmp_path: Path, pair: Pair) -> None:
    with pytest.raises(SettingsError, match="mail_from"):
        pair.settings(tmp_path, mail_host="127.0.0.1")
