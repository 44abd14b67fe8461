"""Subjects are found by a keyed hash, sealed at rest, and known to each partner by another id."""

import asyncio
from datetime import date
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from msgspec.structs import replace
from sqlalchemy import select, update

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from xinyi.kernel.errors import Code, XinyiError
from xinyi.sandbox import identities
from xinyi.storage.database import Database
from xinyi.storage.keys import Keys, Secret, Version
from xinyi.subjects.model import Identifier
from xinyi.subjects.service import SubjectService
from xinyi.subjects.tables import subjects

pytestmark = pytest.mark.anyio

SYNTHETIC = "990101199003070015"
PERSON = identities.person(1, date(1990, 5, 1), 7).value
COMPANY = identities.company(1, 7).value
REAL_FORM = "11010519491231002X"
"""The sample of GB 11643."""


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return fresh_keys(tmp_path / "keys")


def service_with(keys: Keys, *, synthetic: bool = True) -> SubjectService:
    return SubjectService(keys, ManualClock(), synthetic=synthetic)


def rotated(secret: Secret) -> Secret:
    return Secret(Version("v2"), {**secret.versions, Version("v2"): b"2" * 32})


async def test_a_subject_is_registered_once(database: Database, keys: Keys) -> None:
    service = service_with(keys)
    person = service.parse(PERSON)
    async with database.transaction() as tx:
        assert await service.find(tx, person) is None
        first = await service.ensure(tx, person)
    async with database.transaction() as tx:
        assert await service.ensure(tx, person) == first
        assert await service.find(tx, person) == first
    assert first.startswith("sub_")


async def test_many_subjects_are_registered_together(database: Database, keys: Keys) -> None:
    service = service_with(keys)
    person, company = service.parse(PERSON), service.parse(COMPANY)
    async with database.transaction() as tx:
        known = await service.ensure(tx, person)
        found = await service.ensure_many(tx, [person, company, person])
    assert found[person] == known
    assert found[company] != known


async def test_two_who_register_the_same_subjects_at_once_find_the_same(database: Database, keys: Keys) -> None:
    services = service_with(keys), service_with(keys)
    everyone = [services[0].parse(identities.company(1, number).value) for number in range(40)]

    async def register(service: SubjectService, some: list[Identifier]) -> dict[Identifier, str]:
        async with database.transaction() as tx:
            return await service.ensure_many(tx, some)

    first, second = await asyncio.gather(register(services[0], everyone[:30]), register(services[1], everyone[:9:-1]))
    assert len({**first, **second}) == len(set(first.values()) | set(second.values())) == len(everyone)
    assert all(first[each] == second[each] for each in everyone[10:30])


async def test_the_database_holds_no_identifier(database: Database, keys: Keys) -> None:
    service = service_with(keys)
    async with database.transaction() as tx:
        await service.ensure(tx, service.parse(PERSON))
    async with database.read() as tx:
        stored = repr((await tx.execute(select(subjects))).all())
    assert PERSON not in stored
    assert PERSON[6:14] not in stored


async def test_a_subject_is_found_after_the_hash_key_rotates(database: Database, keys: Keys) -> None:
    before = service_with(keys)
    after = service_with(replace(keys, subject_hash=rotated(keys.subject_hash)))
    person, company = before.parse(PERSON), before.parse(COMPANY)
    async with database.transaction() as tx:
        subject_id = await before.ensure(tx, person)
        assert await after.find(tx, person) == subject_id
        assert await after.ensure(tx, person) == subject_id
        await after.ensure(tx, company)
        stored = (await tx.execute(select(subjects.c.identifier_key))).scalars().all()
    assert sorted(key[:3] for key in stored) == ["v1:", "v2:"]
    assert before.key_of(person) in after.keys_of(person)
    assert after.key_of(person) == after.keys_of(person)[0] != before.key_of(person)


async def test_an_identifier_is_revealed_after_the_seal_key_rotates(database: Database, keys: Keys) -> None:
    before = service_with(keys)
    after = service_with(replace(keys, subject_seal=rotated(keys.subject_seal)))
    async with database.transaction() as tx:
        old = await before.ensure(tx, before.parse(PERSON))
        new = await after.ensure(tx, after.parse(COMPANY))
        assert (await after.reveal(tx, old)).value == PERSON
        assert (await after.reveal(tx, new)).value == COMPANY


async def test_a_sealed_identifier_cannot_be_moved_to_another_subject(database: Database, keys: Keys) -> None:
    service = service_with(keys)
    async with database.transaction() as tx:
        first = await service.ensure(tx, service.parse(PERSON))
        other = await service.ensure(tx, service.parse(SYNTHETIC))
        sealed = (await tx.execute(select(subjects.c.identifier_sealed).where(subjects.c.id == first))).scalar_one()
        await tx.execute(update(subjects).where(subjects.c.id == other).values(identifier_sealed=sealed))
        with pytest.raises(InvalidTag):
            await service.reveal(tx, other)


async def test_an_unknown_subject_has_nothing_to_reveal(database: Database, keys: Keys) -> None:
    async with database.read() as tx:
        with pytest.raises(XinyiError) as error:
            await service_with(keys).reveal(tx, "sub_00000000000000000000000000")
    assert error.value.code is Code.NOT_FOUND


def test_each_partner_knows_a_subject_by_another_id_that_stays(keys: Keys) -> None:
    service = service_with(keys)
    first = service.pairwise("sub_a", "prt_a")
    assert first == service_with(replace(keys, pairwise=rotated(keys.pairwise))).pairwise("sub_a", "prt_a")
    assert len({first, service.pairwise("sub_a", "prt_b"), service.pairwise("sub_b", "prt_a")}) == 3
    assert first.startswith("psn_")
    assert len(first) == 4 + 32


def test_a_malformed_identifier_is_a_coded_error_that_does_not_repeat_it(keys: Keys) -> None:
    with pytest.raises(XinyiError) as error:
        service_with(keys).parse("91110000710926094Q", source="/subject/identifier")
    assert error.value.code is Code.INVALID
    assert error.value.source == "/subject/identifier"
    assert "91110000710926094Q" not in str(error.value)


def test_made_up_subjects_exist_in_the_sandbox_only(keys: Keys) -> None:
    assert service_with(keys).parse(SYNTHETIC).is_synthetic
    with pytest.raises(XinyiError) as error:
        service_with(keys, synthetic=False).parse(SYNTHETIC)
    assert error.value.code is Code.INVALID


def test_real_subjects_exist_outside_the_sandbox_only(keys: Keys) -> None:
    assert not service_with(keys, synthetic=False).parse(REAL_FORM).is_synthetic
    with pytest.raises(XinyiError) as error:
        service_with(keys).parse(REAL_FORM)
    assert (error.value.code, error.value.source) == (Code.INVALID, "/subject")
    assert "synthetic subjects only" in str(error.value.detail)
