"""Who looked (查询记录): each check about a subject, what it told, and its place in the ledger, proved each time."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.model import shown
from ..catalogue.service import Catalogue
from ..checks import repo as checks_repo
from ..checks.model import Answer, CheckBody
from ..checks.repo import CheckRow
from ..checks.witness import CheckRows
from ..consents import repo as consents_repo
from ..consents.model import Consent
from ..feedback import repo as feedback_repo
from ..feedback.model import StoredFeedback
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id
from ..kernel.text import Text
from ..ledger.model import Held
from ..ledger.service import LedgerService
from ..ledger.witness import Told as ToldByLedger
from ..partners.model import Partner, SubParty
from ..partners.service import PartnerService
from ..scenarios.model import Criterion
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..subjects.service import SubjectService
from .model import Access, AccessFile, Authoriser, Named, Proof, ProofState, ToldFact, named

BLOCK: Final = 100
"""Entries that are read and proved together."""


class AccessLog:
    """A subject's access log (征信业管理条例; 公共信用信息 regulations: the time, the caller, who agreed, what for)."""

    def __init__(
        self,
        database: Database,
        *,
        partners: PartnerService,
        subjects: SubjectService,
        scenarios: Registry,
        catalogue: Catalogue,
        ledger: LedgerService,
    ) -> None:
        self._database = database
        self._partners = partners
        self._scenarios = scenarios
        self._catalogue = catalogue
        self._ledger = ledger
        self._subjects = subjects
        self._witness = CheckRows(subjects.pairwise)

    async def page(self, subject_id: str, *, limit: int, before: str | None = None) -> tuple[list[Access], str | None]:
        """The newest entries, or those before one; and the id to go on before, while there is more."""
        async with self._database.read() as tx:
            rows = await checks_repo.of_subject(tx, subject_id, limit=limit + 1, before=before)
            page, more = rows[:limit], rows[limit:]
            return await self._entries(tx, page), page[-1].id if more else None

    async def all(self, subject_id: str) -> list[AccessFile]:
        """Everything, newest first, each with its receipt."""
        files: list[AccessFile] = []
        before = None
        while True:
            async with self._database.read() as tx:
                rows = await checks_repo.of_subject(tx, subject_id, limit=BLOCK, before=before)
                files += await self._files(tx, rows)
            if len(rows) < BLOCK:
                return files
            before = rows[-1].id

    async def file(self, subject_id: str, check_id: str) -> AccessFile:
        """One entry with its receipt. Raises ``XinyiError(NOT_FOUND)``, also for another subject's."""
        async with self._database.read() as tx:
            row = (await checks_repo.find(tx, [check_id])).get(check_id) if is_id("chk", check_id) else None
            if row is None or row.subject_id != subject_id:
                raise XinyiError(Code.NOT_FOUND)
            [file] = await self._files(tx, [row])
            return file

    async def _files(self, tx: AsyncConnection, rows: Sequence[CheckRow]) -> list[AccessFile]:
        held = await self._held(tx, rows)
        entries = await self._entries(tx, rows, held)
        bodies = {row.id: _body(row) for row in rows}
        return [
            AccessFile(
                entry=entry,
                answer=None if (body := bodies[entry.id]) is None else body.data,
                receipt=held[entry.id].receipt if entry.id in held else None,
            )
            for entry in entries
        ]

    async def _held(self, tx: AsyncConnection, rows: Sequence[CheckRow]) -> dict[str, Held]:
        return {each.entry_id: each for each in await self._ledger.held(tx, [row.id for row in rows])}

    async def _entries(
        self, tx: AsyncConnection, rows: Sequence[CheckRow], held: Mapping[str, Held] | None = None
    ) -> list[Access]:
        held = await self._held(tx, rows) if held is None else held
        consents = await consents_repo.load(tx, {row.consent_id for row in rows})
        partners = {
            partner_id: await self._partners.partner(tx, partner_id) for partner_id in {row.partner_id for row in rows}
        }
        acting = await self._partners.sub_parties_by_id(
            tx, {(consent.partner_id, consent.sub_party_id) for consent in consents.values()}
        )
        said = await feedback_repo.find_many(tx, partners.keys(), [row.id for row in rows])
        disagreeing = await self._disagreeing(tx, held.values())
        return [
            self._entry(
                row,
                partners[row.partner_id],
                acting.get(consents[row.consent_id].sub_party_id or ""),
                consents[row.consent_id],
                said.get(row.id),
                self._proof(held.get(row.id), disagreeing),
            )
            for row in rows
        ]

    async def _disagreeing(self, tx: AsyncConnection, held: Collection[Held]) -> frozenset[str]:
        """The ids whose rows don't say what their entries say: whatever is shown comes from the rows."""
        told = [
            ToldByLedger(each.leaf_index, each.kind, each.entry_id, each.body) for each in held if each.body is not None
        ]
        if await self._agree(tx, told):
            return frozenset()
        return frozenset({each.id for each in told if not await self._agree(tx, [each])})

    async def _agree(self, tx: AsyncConnection, told: Sequence[ToldByLedger]) -> bool:
        try:
            return await self._witness.compare(tx, told) is None
        except (ValueError, TypeError, AssertionError):
            return False

    def _proof(self, held: Held | None, disagreeing: Collection[str]) -> Proof:
        """Verifies, here and now, that the entry is under the newest signed checkpoint, and that the row says it."""
        if held is None:
            return Proof(state=ProofState.FAILED)
        if held.receipt is None:
            return Proof(state=ProofState.ERASED, leaf_index=held.leaf_index)
        try:
            checkpoint = self._ledger.verify(held.receipt)
        except ValueError:
            return Proof(state=ProofState.FAILED, leaf_index=held.leaf_index)
        return Proof(
            state=ProofState.FAILED if held.entry_id in disagreeing else ProofState.INCLUDED,
            leaf_index=held.leaf_index,
            tree_size=checkpoint.tree_size,
            root_hash=checkpoint.root_hash,
            log_id=checkpoint.log_id,
            checkpoint_at=datetime.fromtimestamp(checkpoint.iat, UTC),
        )

    def _entry(
        self,
        row: CheckRow,
        partner: Partner,
        sub_party: SubParty | None,
        consent: Consent,
        said: StoredFeedback | None,
        proof: Proof,
    ) -> Access:
        scenario = self._scenarios.version(consent.scenario_id, consent.scenario_version)
        body = _body(row)
        return Access(
            id=row.id,
            at=row.created_at,
            partner=Named(partner.id, partner.name),
            sub_party=named(sub_party),
            scenario=Named(scenario.id, scenario.name),
            purpose=scenario.purpose,
            consent_id=row.consent_id,
            authorised_by=Authoriser.SELF if consent.representative_id is None else Authoriser.REPRESENTATIVE,
            representative=self._representative(consent),
            authorised_at=consent.authorised_at,
            reference=row.reference,
            outcome=row.outcome,
            refusal=row.refusal,
            facts=() if body is None else tuple(self._facts(row, body.data)),
            feedback=None if said is None else said.feedback,
            proof=proof,
        )

    def _representative(self, consent: Consent) -> str | None:
        if consent.representative_id is None or consent.subject_id is None:
            return None
        return self._subjects.pairwise(consent.representative_id, consent.subject_id)

    def _facts(self, row: CheckRow, answer: Answer) -> list[ToldFact]:
        """What was told beside the overall outcome."""
        scenario = self._scenarios.find(row.scenario_id, row.scenario_version)
        criteria: dict[str, Criterion] = {} if scenario is None else {each.id: each for each in scenario.criteria}
        facts: list[ToldFact] = []
        for told in answer.criteria:
            criterion = criteria.get(told.id)
            type_ = None if criterion is None else self._catalogue.get(criterion.record)
            name = Text(told.id, told.id) if type_ is None else type_.name
            facts.append(ToldFact(criterion=told.id, name=name, outcome=told.outcome))
            for field, value in answer.disclosed.get(told.id, {}).items():
                described = None if type_ is None else type_.fields.get(field)
                named = Text(field, field) if described is None else described.name
                facts.append(
                    ToldFact(
                        criterion=told.id,
                        field=field,
                        name=Text(f"{name.zh}·{named.zh}", f"{name.en}: {named.en}"),
                        value=value,
                        shown=shown(value, described),
                    )
                )
        return facts


def _body(row: CheckRow) -> CheckBody | None:
    return None if row.body is None else msgspec.json.decode(row.body, type=CheckBody)
