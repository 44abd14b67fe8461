"""The rows of checks and consents say what the ledger says, and verification names the one that doesn't."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from tests.support.ledger import spelled
from tests.support.pairs import Pair
from tests.support.world import COMPANY, World, ask, new_world
from xinyi.checks.witness import CheckRows, ConsentUses
from xinyi.consents.model import Consent, Party
from xinyi.consents.witness import ConsentRows
from xinyi.ledger.checkpoint import CheckpointKeys
from xinyi.ledger.diagnosis import Fault, FaultKind
from xinyi.ledger.verify import verify_database
from xinyi.ledger.witness import Witness

pytestmark = pytest.mark.anyio


class Trail(msgspec.Struct):
    """An installation in which every kind of thing has happened."""

    world: World
    consents: dict[str, Consent]
    checks: dict[str, str]

    async def verify(self, *, secrets: bool = True) -> Fault | None:
        s = self.world.services
        pairwise = s.subjects.pairwise if secrets else None
        witnesses: list[Witness] = [ConsentRows(s.scenarios, pairwise), CheckRows(pairwise), ConsentUses()]
        async with s.database.read() as tx:
            return (await verify_database(tx, CheckpointKeys(s.ledger.jwks()), witnesses=witnesses)).fault

    async def sql(self, statement: str, **values: Any) -> None:
        async with self.world.services.database.transaction() as tx:
            await tx.execute(text(spelled(statement, tx.dialect.name)), values)

    async def answer_with(self, body: Any) -> None:
        """Stores another body of the answer."""
        values = {"body": msgspec.json.encode(body).decode(), "id": self.checks["answer"]}
        await self.sql("UPDATE checks SET body = :body WHERE id = :id", **values)

    async def body(self, name: str) -> Any:
        async with self.world.services.database.read() as tx:
            statement = text("SELECT body FROM checks WHERE id = :id")
            return msgspec.json.decode((await tx.execute(statement, {"id": self.checks[name]})).scalar_one())


@pytest.fixture
async def trail(tmp_path: Path, pair: Pair) -> AsyncGenerator[Trail]:
    async with new_world(tmp_path, pair) as world:
        bank = await world.client("microloan-prescreen", "bike-deposit", "home-rental-deposit", kind="bank")
        person, company = await world.subject(), await world.subject(COMPANY)
        await world.record(company, "TAX_RATING", year=2025, grade="A")
        for record_type in ("TAX_ONTIME", "SOCINS_PAID"):
            await world.record(company, record_type, months=24, as_of="2026-09-30")
        service = world.services.consents
        used = await world.consent(bank, "microloan-prescreen", company)
        spent = await world.consent(bank, "home-rental-deposit", person)
        unspent = await world.consent(bank, "home-rental-deposit", person)
        withdrawn = await world.consent(bank, "bike-deposit", person)
        checks = {"answer": await world.check(ask(bank, used)), "once": await world.check(ask(bank, spent))}
        await service.withdraw(withdrawn.id, Party.SUBJECT, person.id)
        checks["refusal"] = await world.check(ask(bank, withdrawn))
        paused = await world.consent(bank, "bike-deposit", person)
        await service.pause(paused.id, person.id)
        resumed = await world.consent(bank, "microloan-prescreen", company)  # takes the place of the one in use
        await service.pause(resumed.id, company.id)
        await service.resume(resumed.id, company.id)
        refused, given_up = [await world.asked(bank, "bike-deposit") for _ in range(2)]
        await service.reject(refused.id, subject_id=person.id, kind=person.kind)
        await service.withdraw(given_up.id, Party.PARTNER, given_up.partner_id)
        asked = await world.asked(bank, "bike-deposit")
        consents = {
            "used": used,
            "spent": spent,
            "unspent": unspent,
            "withdrawn": withdrawn,
            "paused": paused,
            "asked": asked,
        }
        yield Trail(world, consents, {name: str(result.check_id) for name, result in checks.items()})


@pytest.mark.parametrize("secrets", [True, False])
async def test_what_happened_is_what_is_stored(trail: Trail, secrets: bool) -> None:
    answered = await trail.body("answer")
    assert answered["data"]["disclosed"], "else the commitments aren't looked at"
    assert await trail.verify(secrets=secrets) is None


CONSENTS = [
    ("withdrawn", "ended_as = NULL, ended_at = NULL, ended_by = NULL, end_reason = NULL", "how it ended"),
    ("withdrawn", "ended_as = 'consumed'", "how it ended"),
    ("withdrawn", "end_reason = 'ended_by_operator'", "how it ended"),
    ("paused", "paused_at = NULL", "paused_at"),
    ("spent", "ended_as = NULL, ended_at = NULL, ended_by = NULL, end_reason = NULL", "how it ended"),
    (
        "spent",
        "ended_as = NULL, ended_at = NULL, ended_by = NULL, end_reason = NULL, use_count = 0",
        "use_count",
    ),
    ("used", "use_count = 0", "use_count"),
    ("used", "expires_at = '2030-01-01 00:00:00+00'", "expires_at"),
    ("used", "units = '[\"more\"]'", "units"),
    ("used", "partner_id = 'prt_other'", "partner_id"),
    ("used", "scenario_version = 9", "scenario"),
    ("used", "subject_id = (SELECT subject_id FROM consents WHERE id = :unspent)", "subject_id"),
    ("unspent", "uses = 'recurring'", "uses"),
    ("unspent", "ended_as = 'rejected'", "how it ended"),
    ("asked", "authorised_at = created_at", "authorised_at"),
    ("used", "units = 'nonsense'", "what can't be read"),
]


@pytest.mark.parametrize(("name", "change", "what"), CONSENTS)
async def test_a_consent_that_was_edited_is_named(trail: Trail, name: str, change: str, what: str) -> None:
    consent = trail.consents[name]
    if trail.world.services.database.is_sqlite:
        change = change.replace("+00'", ".000000'")
    given = {"id": consent.id, "unspent": trail.consents["unspent"].id}
    await trail.sql(
        f"UPDATE consents SET {change} WHERE id = :id",  # noqa: S608 (a test's own)
        **{name: value for name, value in given.items() if name == "id" or f":{name}" in change},
    )
    fault = await trail.verify()
    assert fault is not None
    assert fault.kind is FaultKind.EDITED
    assert fault.detail.endswith(f"{consent.id} in consents says something else than the entry: {what}")


CHECKS = [
    ("answer", "outcome = 'not_evidenced'", "outcome"),
    ("answer", "reference = 'OTHER'", "reference"),
    ("answer", "consent_id = 'cns_other'", "consent_id"),
    ("answer", "subject_id = NULL", "subject_id"),
    ("answer", "refusal = 'consent_withdrawn'", "refusal"),
    ("answer", "body = NULL", "what can't be read"),
    ("refusal", "refusal = 'consent_expired'", "refusal"),
    ("refusal", "outcome = 'met'", "outcome"),
    ("refusal", "body = '{}'", "body"),
]


@pytest.mark.parametrize(("name", "change", "what"), CHECKS)
async def test_a_check_that_was_edited_is_named(trail: Trail, name: str, change: str, what: str) -> None:
    await trail.sql(f"UPDATE checks SET {change} WHERE id = :id", id=trail.checks[name])  # noqa: S608 (a test's own)
    fault = await trail.verify()
    assert fault is not None
    assert fault.kind is FaultKind.EDITED
    assert fault.detail.endswith(f"{trail.checks[name]} in checks says something else than the entry: {what}")


BODIES: list[tuple[dict[str, Any], str]] = [
    ({"outcome": "not_evidenced"}, "body.outcome"),
    ({"subject": "psn_other"}, "body.subject"),
    ({"disclosed": {}}, "body.disclosed"),
    ({"disclosed": {"tax-rating": {"grade": "M"}}}, "body.disclosed"),
    ({"salts": {}}, "what can't be read"),
    ({"criteria": []}, "body.criteria"),
    ({"valid_until": "2030-01-01T00:00:00Z"}, "body.valid_until"),
    ({"consent_expires_at": "2030-01-01T00:00:00Z"}, "body.consent_expires_at"),
]


@pytest.mark.parametrize(("change", "what"), BODIES)
async def test_an_answer_that_was_flipped_is_named(trail: Trail, change: dict[str, Any], what: str) -> None:
    body = await trail.body("answer")
    body["data"] |= change
    await trail.sql(
        "UPDATE checks SET body = :body WHERE id = :id",
        body=msgspec.json.encode(body).decode(),
        id=trail.checks["answer"],
    )
    fault = await trail.verify()
    assert fault is not None
    assert fault.detail.endswith(f"says something else than the entry: {what}")


async def test_another_receipt_in_an_answer_is_named(trail: Trail) -> None:
    body = await trail.body("answer")
    body["receipt"] = (await trail.body("once"))["receipt"]
    await trail.sql(
        "UPDATE checks SET body = :body WHERE id = :id",
        body=msgspec.json.encode(body).decode(),
        id=trail.checks["answer"],
    )
    fault = await trail.verify()
    assert fault is not None
    assert fault.detail.endswith("body.receipt")


@pytest.mark.parametrize("table", ["checks", "consents"])
async def test_a_row_that_is_missing_is_named(trail: Trail, table: str) -> None:
    missing = trail.checks["answer"] if table == "checks" else trail.consents["withdrawn"].id
    await trail.sql(f"DELETE FROM {table} WHERE id = :id", id=missing)  # noqa: S608 (a test's own)
    fault = await trail.verify()
    assert fault is not None
    assert (fault.kind, fault.detail) == (FaultKind.DELETED, f"the row of {missing} in {table} isn't there")


async def test_a_row_that_the_law_erased_is_not_missed(trail: Trail) -> None:
    s = trail.world.services
    async with s.database.transaction() as tx:
        await s.ledger.erase(tx, [trail.checks["answer"]], trail.world.clock.now())
    await trail.sql("DELETE FROM checks WHERE id = :id", id=trail.checks["answer"])
    assert await trail.verify() is None


@pytest.mark.parametrize("table", ["checks", "consents"])
async def test_a_row_that_no_entry_tells_of_is_noticed(trail: Trail, table: str) -> None:
    known = trail.checks["answer"] if table == "checks" else trail.consents["asked"].id
    async with trail.world.services.database.transaction() as tx:
        row = dict((await tx.execute(text(f"SELECT * FROM {table} WHERE id = :id"), {"id": known})).mappings().one())  # noqa: S608 (a test's own)
        row["id"] = "other"
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        await tx.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)  # noqa: S608 (a test's own)
    fault = await trail.verify()
    assert fault is not None
    assert (fault.kind, fault.detail) == (FaultKind.INSERTED, f"{table} has 1 rows that no entry tells of")


async def test_a_value_of_a_wrong_type_is_an_edit(trail: Trail) -> None:
    if trail.world.services.database.is_sqlite:
        await trail.sql("UPDATE checks SET created_at = 'yesterday' WHERE id = :id", id=trail.checks["once"])
        fault = await trail.verify()
        assert fault is not None
        assert fault.detail.endswith("what can't be read")
