"""Each check's row, held against its entry in the ledger; and each consent's uses, against the checks."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..consents.tables import consents
from ..consents.witness import Pairwise
from ..kernel.canonical import b64url
from ..kernel.clock import whole_seconds
from ..ledger.witness import Disagreement, Told
from ..scenarios.model import Value
from . import repo
from .model import commitment, reference_digest
from .repo import CheckRow
from .tables import checks


class _Scenario(Struct, frozen=True):
    id: str
    version: int | None = None
    digest: str | None = None


class _Criterion(Struct, frozen=True):
    id: str
    outcome: str


class _Facts(Struct, frozen=True, kw_only=True):
    """What an entry and an answer both say."""

    id: str
    scenario: _Scenario
    subject: str
    outcome: str
    criteria: tuple[_Criterion, ...]
    as_of: datetime
    valid_until: datetime


class _Entry(_Facts, frozen=True, kw_only=True):
    """What an entry about an answered check says."""

    consent_id: str
    partner_id: str
    sub_party: str | None = None
    reference_digest: str
    commitments: dict[str, dict[str, str]]
    salt: str


class _Refusal(Struct, frozen=True, kw_only=True):
    """What an entry about a refusal says."""

    scenario: _Scenario
    subject: str
    consent_id: str
    partner_id: str
    sub_party: str | None = None
    code: str
    as_of: datetime


class _Answer(_Facts, frozen=True, kw_only=True):
    """What was answered."""

    disclosed: dict[str, dict[str, Value]]
    salts: dict[str, dict[str, str]]
    consent_expires_at: datetime


class _Body(Struct, frozen=True):
    data: _Answer
    receipt: str


_FACTS: Final = _Facts.__struct_fields__


class CheckRows:
    """``pairwise`` is None for whoever verifies without the installation's secrets."""

    kinds = frozenset({"check", "refusal"})
    table = checks.name

    def __init__(self, pairwise: Pairwise | None) -> None:
        self._pairwise = pairwise

    async def compare(self, tx: AsyncConnection, told: Sequence[Told]) -> Disagreement | None:
        rows = await repo.find(tx, {each.id for each in told})
        under = await _under(tx, {row.consent_id for row in rows.values()})
        for each in told:
            row = rows.get(each.id)
            if row is None:
                return Disagreement(each, "")
            differences = (self._of_check if each.kind == "check" else self._of_refusal)(
                each, row, under.get(row.consent_id)
            )
            if what := next(differences, ""):
                return Disagreement(each, what)
        return None

    async def count(self, tx: AsyncConnection) -> int:
        return (await tx.execute(select(func.count()).select_from(checks))).scalar_one()

    def _of_check(self, told: Told, row: CheckRow, under: "_Under | None") -> Iterator[str]:
        entry = msgspec.json.decode(told.body, type=_Entry)
        body = msgspec.json.decode(row.body or "null", type=_Body)
        answer = body.data
        yield from self._of_both(entry, row, under)
        yield from _unequal(
            {
                "scenario_version": (entry.scenario.version, row.scenario_version),
                "outcome": (entry.outcome, row.outcome),
                "refusal": (None, row.refusal),
                "reference": (entry.reference_digest, reference_digest(entry.salt, row.reference)),
                **{f"body.{name}": (getattr(entry, name), getattr(answer, name)) for name in _FACTS},
                "body.disclosed": (entry.commitments, _commitments(answer)),
                "body.consent_expires_at": (
                    answer.consent_expires_at if under is None else under.expires_at,
                    answer.consent_expires_at,
                ),
                "body.receipt": (b64url(told.body), body.receipt.partition("~")[0]),
            }
        )

    def _of_refusal(self, told: Told, row: CheckRow, under: "_Under | None") -> Iterator[str]:
        entry = msgspec.json.decode(told.body, type=_Refusal)
        yield from self._of_both(entry, row, under)
        yield from _unequal(
            {"refusal": (entry.code, row.refusal), "outcome": (None, row.outcome), "body": (None, row.body)}
        )

    def _of_both(self, entry: _Entry | _Refusal, row: CheckRow, under: "_Under | None") -> Iterator[str]:
        if under is not None:
            yield from _unequal({"sub_party": (entry.sub_party, under.sub_party_id)})
        yield from _unequal(
            {
                "partner_id": (entry.partner_id, row.partner_id),
                "consent_id": (entry.consent_id, row.consent_id),
                "scenario_id": (entry.scenario.id, row.scenario_id),
                "created_at": (entry.as_of, whole_seconds(row.created_at)),
            }
        )
        if self._pairwise is not None:
            subject = None if row.subject_id is None else self._pairwise(row.subject_id, row.partner_id)
            yield from _unequal({"subject_id": (entry.subject, subject)})


class ConsentUses:
    """A consent counts no fewer uses than there are answers under it."""

    kinds = frozenset({"consent"})
    table = consents.name

    async def compare(self, tx: AsyncConnection, told: Sequence[Told]) -> Disagreement | None:
        answered = (
            select(func.count())
            .where(checks.c.subject_id == consents.c.subject_id, checks.c.consent_id == consents.c.id)
            .where(checks.c.outcome.is_not(None))
            .scalar_subquery()
        )
        ids = {each.id for each in told}
        rows = await tx.execute(select(consents.c.id).where(consents.c.id.in_(ids), consents.c.use_count < answered))
        short = set(rows.scalars())
        return next((Disagreement(each, "use_count") for each in told if each.id in short), None)

    async def count(self, tx: AsyncConnection) -> int:
        return 0  # the consents' own witness counts them


class _Under(Struct, frozen=True):
    """What a check takes from its consent."""

    expires_at: datetime | None
    sub_party_id: str | None


async def _under(tx: AsyncConnection, ids: set[str]) -> dict[str, _Under]:
    c = consents.c
    rows = await tx.execute(select(c.id, c.expires_at, c.sub_party_id).where(c.id.in_(ids)))
    return {row.id: _Under(row.expires_at, row.sub_party_id) for row in rows}


def _commitments(answer: _Answer) -> dict[str, dict[str, str]]:
    """What the entry must hold of the values that were disclosed. Raises ``ValueError`` when one has no salt."""
    try:
        return {
            criterion: {field: commitment(answer.salts[criterion][field], value) for field, value in fields.items()}
            for criterion, fields in answer.disclosed.items()
        }
    except LookupError as error:
        raise ValueError("a disclosed value has no salt") from error


def _unequal(pairs: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    return (name for name, (said, stored) in pairs.items() if said != stored)
