"""A notice by e-mail after checks, to subjects who want one and whose address a sign-in vouched for."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from ..checks import repo as checks_repo
from ..checks.repo import CheckRow
from ..consents import repo as consents_repo
from ..consents.notice import Operator
from ..kernel.clock import Clock
from ..kernel.ids import first_id
from ..kernel.text import Language, Text, one_line
from ..partners.model import acting
from ..partners.service import PartnerService
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..subjects.service import SubjectService
from ..web.mail import Mailer, MailError
from ..web.pages import local
from . import repo

AT_ONCE: Final = 50
"""The most subjects that are looked for together."""
NAMED: Final = 5
"""The most checks that one mail names."""
SETTLED: Final = timedelta(seconds=30)
"""Checks are told of this long after they were made: until then an earlier one may still be committed."""

_log = structlog.get_logger(__name__)


class Notices:
    """Tells subjects of their newest checks. Without a ``mailer`` it does nothing: the portal shows them anyway."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        subjects: SubjectService,
        partners: PartnerService,
        scenarios: Registry,
        mailer: Mailer | None,
        issuer: str,
        operator: Operator,
    ) -> None:
        self._database = database
        self._clock = clock
        self._subjects = subjects
        self._partners = partners
        self._scenarios = scenarios
        self._mailer = mailer
        self._issuer = issuer
        self._operator = operator

    async def send(self) -> None:
        """One mail for each subject who has something new, at most once; what can't be handed in is tried next time."""
        if self._mailer is None:
            return
        before = first_id("chk", self._clock.now() - SETTLED)
        async with self._database.read() as tx:
            due = await repo.to_mail(tx, before, AT_ONCE)
        for subject_id, newest in due.items():
            await self._tell(self._mailer, subject_id, newest)

    async def _tell(self, mailer: Mailer, subject_id: str, newest: str) -> None:
        async with self._database.transaction() as tx:
            wish = await repo.wish(tx, subject_id)
            if wish is None or not await repo.mark_mailed(tx, subject_id, newest, wish.mailed):
                return  # another worker tells them
            address = await self._subjects.email_of(tx, subject_id)
            if address is None:
                return
            found = await checks_repo.of_subject(tx, subject_id, after=wish.mailed, limit=AT_ONCE)
            rows = [row for row in found if row.id <= newest]
            names = await self._names(tx, rows)
        subject, text = self._written(rows, names)
        try:
            await mailer.send(address, subject, text)
        except MailError as error:
            _log.warning("notice_not_sent", error=str(error))
            async with self._database.transaction() as tx:
                await repo.mark_mailed(tx, subject_id, wish.mailed, newest)

    async def _names(self, tx: AsyncConnection, rows: Sequence[CheckRow]) -> dict[str, Text]:
        """Who asked, by consent."""
        consents = await consents_repo.load(tx, {row.consent_id for row in rows})
        subs = await self._partners.sub_parties_by_id(
            tx, {(each.partner_id, each.sub_party_id) for each in consents.values()}
        )
        partners = {each: await self._partners.partner(tx, each) for each in {row.partner_id for row in rows}}
        return {
            each.id: acting(partners[each.partner_id], subs.get(each.sub_party_id or "")) for each in consents.values()
        }

    def _written(self, rows: Sequence[CheckRow], names: dict[str, Text]) -> tuple[str, str]:
        """The subject line and the text, Chinese first. It names no subject, and nothing of their records."""
        lines = {language: "\n".join(self._line(row, names, language) for row in rows[:NAMED]) for language in Language}
        more = "……\n" if len(rows) > NAMED else ""
        link = f"{self._issuer}/me/access-log"
        operator, contact = self._operator.name, self._operator.contact
        text = (
            f"您好：\n\n按您的要求通知您，最近有以下核验：\n\n{lines[Language.ZH]}\n{more}\n"
            f"登录后可查看对方知道了什么，并核对账本中的回执：\n\n{link}\n\n"
            f"如需停止通知，请在“下载与通知”页面关闭。如有疑问，请联系：{contact}\n{operator.zh}\n\n----\n\n"
            f"Hello,\n\nAs you asked, here is what was checked about you:\n\n{lines[Language.EN]}\n{more}\n"
            f"Sign in to see what they learnt, and to verify each entry of the ledger:\n\n{link}\n\n"
            f"You can turn these notices off on the page “Download”. Questions: {contact}\n{operator.en}\n"
        )
        return "通知：您的信息被核验过 / A check about you was made", text

    def _line(self, row: CheckRow, names: dict[str, Text], language: Language) -> str:
        scenario = self._scenarios.find(row.scenario_id, row.scenario_version)
        what = row.scenario_id if scenario is None else scenario.name.of(language)
        return f"- {local(row.created_at, language)}  {one_line(names[row.consent_id].of(language), 200)} · {what}"
