"""Reminders by e-mail, to subjects whose address a sign-in vouched for.

A reminder is queued without looking whom it is for, and sent later: nothing that the partner sees depends on it.
"""

from datetime import timedelta
from typing import Final

import structlog

from ..kernel.clock import Clock
from ..kernel.text import Text, one_line
from ..partners.model import acting
from ..partners.service import PartnerService
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..subjects.service import SubjectService
from ..web.mail import Mailer, MailError
from . import repo
from .model import Consent
from .notice import Operator
from .repo import Mail
from .service import page_path

AT_ONCE: Final = 20
"""The most mails that are claimed together."""
AGAIN_AFTER: Final = timedelta(minutes=5)
"""When a mail is tried again that couldn't be handed in, or whose process died."""

_log = structlog.get_logger(__name__)


class Reminders:
    """Sends what is queued. Without a ``mailer`` nothing ever is."""

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
        """Sends the mails that are due, each at least once; those that are too late, or for nobody, are dropped."""
        if self._mailer is None:
            return
        while mails := await self._claimed():
            done = [mail.id for mail in mails if await self._sent(self._mailer, mail)]
            async with self._database.transaction() as tx:
                await repo.drop_mails(tx, done)

    async def _claimed(self) -> list[Mail]:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            return await repo.claim_mails(tx, now, now + AGAIN_AFTER, AT_ONCE)

    async def _sent(self, mailer: Mailer, mail: Mail) -> bool:
        """Whether nothing is left to do about this mail."""
        if self._clock.now() >= mail.until:
            return True
        async with self._database.read() as tx:
            consent = (await repo.load(tx, [mail.consent_id]))[mail.consent_id]
            subject_id = consent.subject_id
            if subject_id is None and consent.named_subject is not None:
                subject_id = await self._subjects.find_by_key(tx, consent.named_subject)
            address = None if subject_id is None else await self._subjects.email_of(tx, subject_id)
            partner = await self._partners.partner(tx, consent.partner_id)
            sub_party = await self._partners.sub_party(tx, consent.partner_id, consent.sub_party_id)
        if address is None:
            return True
        subject, text = self._written(consent, acting(partner, sub_party))
        try:
            await mailer.send(address, subject, text)
        except MailError as error:
            _log.warning("mail_not_sent", mail=mail.id, tries=mail.tries + 1, error=str(error))
            return False
        return True

    def _written(self, consent: Consent, partner: Text) -> tuple[str, str]:
        """The subject line and the text, Chinese first. It names no subject, and nothing of their records."""
        scenario = self._scenarios.version(consent.scenario_id, consent.scenario_version).name
        link = self._issuer + page_path(consent.id)
        operator, contact = self._operator.name, self._operator.contact
        subject = "提醒：有一项授权请求等待您决定 / A request waits for your decision"
        text = (
            f"您好：\n\n{_line(partner.zh)}就“{scenario.zh}”向您发出的请求还没有得到答复。\n"
            f"请登录后查看内容并自行决定，同意或不同意都可以；不答复，请求会自动失效。\n\n{link}\n\n"
            f"如不认识这家机构，不必理会本邮件，或联系我们：{contact}\n{operator.zh}\n\n----\n\n"
            f"Hello,\n\n{_line(partner.en)} asks you about “{scenario.en}” and has had no answer yet.\n"
            f"Sign in, read what is asked, and decide: you may agree or refuse. Unanswered, it lapses by itself.\n\n"
            f"{link}\n\nIf you don't know this partner, ignore this mail, or write to us: {contact}\n{operator.en}\n"
        )
        return subject, text


def _line(name: str) -> str:
    return one_line(name, 200)
