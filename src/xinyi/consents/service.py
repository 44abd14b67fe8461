"""The life of a consent. Every change locks the row, looks at the state again, and leaves one leaf in the ledger."""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.service import Catalogue
from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id, new_id
from ..kernel.text import Language
from ..partners.model import Client, SubParty
from ..partners.service import PartnerService, require_active
from ..scenarios.model import ConsentForm, Scenario
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..storage.sql import take_turns
from ..subjects.service import SubjectService
from . import repo
from .copies import STATEMENT, Copy, CopySigner, ScenarioVersion, read, text_digest
from .journal import Change, Journal
from .model import (
    ANSWER_WITHIN,
    OPEN,
    Channel,
    Consent,
    ConsentState,
    EndReason,
    Event,
    Extension,
    ExtensionState,
    Party,
    extension_state,
    state,
)
from .notice import Notice, Operator, notice
from .written import full_text

_WITHDRAWALS = {
    Party.SUBJECT: EndReason.WITHDRAWN_BY_SUBJECT,
    Party.PARTNER: EndReason.GIVEN_UP_BY_PARTNER,
    Party.OPERATOR: EndReason.ENDED_BY_OPERATOR,
}


class Awaiting(Struct, frozen=True, kw_only=True):
    """Something that a subject is asked: a consent, or, when ``extension`` is there, more time for one they gave.

    ``path`` leads to its page. It lapses at ``until``; ``reminded_at`` is when the partner last asked to be answered.
    """

    consent: Consent
    extension: Extension | None
    until: datetime

    @property
    def path(self) -> str:
        return page_path(self.consent.id)

    @property
    def reminded_at(self) -> datetime | None:
        """When the partner last reminded the subject of this very ask."""
        asked_at = self.consent.created_at if self.extension is None else self.extension.created_at
        reminded = self.consent.reminded_at
        return reminded if reminded is not None and reminded >= asked_at else None


def page_path(consent_id: str) -> str:
    """The page at which a subject answers, and later looks after, this consent."""
    return f"/consents/{consent_id}"


class ConsentService:
    """Asks for consents, and lets those answer and end them who may."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        scenarios: Registry,
        catalogue: Catalogue,
        subjects: SubjectService,
        partners: PartnerService,
        journal: Journal,
        operator: Operator,
        signer: CopySigner,
    ) -> None:
        self._database = database
        self._clock = clock
        self._scenarios = scenarios
        self._catalogue = catalogue
        self._subjects = subjects
        self._partners = partners
        self._journal = journal
        self._operator = operator
        self._signer = signer

    def state(self, consent: Consent) -> ConsentState:
        """The consent's state at this moment."""
        return state(consent, self._clock.now())

    async def request(
        self,
        tx: AsyncConnection,
        client: Client,
        scenario: Scenario,
        named_subject: str | None = None,
        sub_party: SubParty | None = None,
    ) -> Consent:
        """Asks for a consent by redirect, within the caller's transaction; call it last, it locks the ledger.

        ``named_subject`` is the key of the identifier that the partner named (``SubjectService.key_of``): it isn't
        looked up, so that known and unknown subjects are asked for alike. ``sub_party``: the partner's own and active
        one that asks (``PartnerService.acting_sub_party``).
        Raises ``XinyiError``: PARTNER_SUSPENDED, or NOT_ENTITLED when the client wasn't given the scenario.
        """
        consent = self.draft(client, scenario, Channel.REDIRECT, named_subject, sub_party)
        await self._journal.begin(tx, consent, consent.created_at)
        return consent

    def draft(
        self,
        client: Client,
        scenario: Scenario,
        channel: Channel,
        named_subject: str | None,
        sub_party: SubParty | None = None,
    ) -> Consent:
        """A consent that may be asked for, and isn't stored yet. Raises as :meth:`request`."""
        require_active(client)
        if client.partner_id is None or scenario.id not in client.scenarios:
            raise XinyiError(Code.NOT_ENTITLED)
        allowed = client.scenarios[scenario.id]
        now = whole_seconds(self._clock.now())
        return Consent(
            id=new_id("cns", self._clock.now()),
            partner_id=client.partner_id,
            client_id=client.id,
            scenario_id=scenario.id,
            scenario_version=scenario.version,
            scenario_digest=scenario.digest,
            units=tuple(sorted(scenario.units if allowed is None else scenario.units & allowed)),
            form=scenario.consent.form,
            uses=scenario.consent.uses,
            sub_party_id=None if sub_party is None else sub_party.id,
            channel=channel,
            named_subject=named_subject,
            created_at=now,
            request_expires_at=now + ANSWER_WITHIN,
        )

    async def show(self, consent_id: str, *, subject_id: str, kind: str, language: Language) -> tuple[Consent, Notice]:
        """What the subject is asked, before they answer.

        Raises ``XinyiError``: NOT_FOUND; NOT_ENTITLED when this subject can't answer; WRONG_STATE once it is answered
        or expired.
        """
        async with self._database.read() as tx:
            consent = await self.find(tx, consent_id)
            await self._check_answerer(tx, consent, subject_id, kind)
            _require(self.state(consent), ConsentState.AWAITING_AUTHORISATION)
            return consent, await self.notice(tx, consent, language)

    async def askable(self, tx: AsyncConnection, consent_id: str, subject_id: str, kind: str) -> Consent:
        """A consent that this subject gave or can answer. Raises ``XinyiError(NOT_FOUND)`` for every other."""
        consent = await self.find(tx, consent_id)
        if consent.subject_id is not None:
            return _owned(consent, Party.SUBJECT, subject_id)
        try:
            await self._check_answerer(tx, consent, subject_id, kind)
        except XinyiError:
            raise XinyiError(Code.NOT_FOUND) from None
        return consent

    async def notice(self, tx: AsyncConnection, consent: Consent, language: Language) -> Notice:
        """What the subject is, or was, told about this consent."""
        told = notice(
            self._scenario(consent),
            await self._partners.partner(tx, consent.partner_id),
            await self._partners.sub_party(tx, consent.partner_id, consent.sub_party_id),
            consent,
            self._catalogue,
            self._operator,
            language,
        )
        return replace(told, text=full_text(told)) if consent.form is ConsentForm.WRITTEN else told

    async def authorise(
        self,
        consent_id: str,
        *,
        subject_id: str,
        kind: str,
        notice_digest: str,
        language: Language,
        representative_id: str | None = None,
    ) -> Consent:
        """The subject agrees to what the notice with this digest told in this language.

        A recurring consent that they gave the same client for the same scenario and sub-party before has had its day:
        it ends with this. Raises ``XinyiError``: NOT_FOUND; NOT_ENTITLED, for whatever reason this subject can't answer
        or when the sub-party is closed; WRONG_STATE when it was answered or expired, or when the notice is another one
        by now; PARTNER_SUSPENDED.
        """
        async with self._database.transaction() as tx:
            asked = await self.find(tx, consent_id)
            await self._check_answerer(tx, asked, subject_id, kind)
            # Two answers of one subject must not each miss the other; and locks are taken in the order of ids.
            await take_turns(tx, f"consents of {subject_id}")
            earlier = await repo.in_force(tx, subject_id, asked)
            locked = await repo.lock(tx, [asked.id, *earlier])
            consent = locked.pop(asked.id)
            now = whole_seconds(self._clock.now())
            _require(state(consent, now), ConsentState.AWAITING_AUTHORISATION)
            client = await self._partners.client(tx, consent.client_id)
            if client is None:
                raise XinyiError(Code.NOT_ENTITLED)
            require_active(client)
            await self.require_acting(tx, consent)
            told = await self.notice(tx, consent, language)
            if notice_digest != told.digest:
                raise XinyiError(Code.WRONG_STATE, "the notice has changed: show it again")
            given = replace(
                consent,
                subject_id=subject_id,
                representative_id=representative_id,
                language=language,
                notice_digest=notice_digest,
                text_digest=None if told.text is None else text_digest(told.text),
                authorised_at=now,
                expires_at=now + timedelta(days=self._scenario(consent).consent.max_days),
            )
            superseded = [
                _withdrawn(each, Party.SUBJECT, EndReason.SUPERSEDED, now)
                for each in locked.values()
                if state(each, now) in OPEN
            ]
            if told.text is not None:
                await self.sign_copy(tx, given, told.partner, told.sub_party, told.text, now)
            changes = [Change(Event.WITHDRAWN, each, representative_id=representative_id) for each in superseded]
            await self._journal.write(
                tx, now, *changes, Change(Event.AUTHORISED, given, representative_id=representative_id)
            )
            return given

    async def require_acting(self, tx: AsyncConnection, consent: Consent) -> None:
        """Raises ``XinyiError(NOT_ENTITLED)`` when the sub-party that the consent is given to is closed."""
        sub_party = await self._partners.sub_party(tx, consent.partner_id, consent.sub_party_id)
        if sub_party is not None and not sub_party.active:
            raise XinyiError(Code.NOT_ENTITLED, "the sub-party is closed")

    async def reject(
        self, consent_id: str, *, subject_id: str, kind: str, representative_id: str | None = None
    ) -> Consent:
        """The subject refuses. Raises as :meth:`authorise`."""
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id)
            await self._check_answerer(tx, consent, subject_id, kind)
            return await self._reject(tx, consent, subject_id, representative_id)

    async def turn_down(
        self,
        consent_id: str,
        *,
        subject_id: str | None = None,
        kind: str | None = None,
        representative_id: str | None = None,
    ) -> Consent:
        """What was asked by redirect is refused in the browser that it was brought to, by whoever sits there.

        It ends alike when they are another than the one who is asked, or aren't signed in: else its state would tell
        the partner that they are the one it named. Raises ``XinyiError``: NOT_FOUND; WRONG_STATE.
        """
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id)
            try:
                await self._check_answerer(tx, consent, subject_id or "", kind or "")
            except XinyiError:
                subject_id = representative_id = None
            return await self._reject(tx, consent, subject_id, representative_id)

    async def _reject(
        self, tx: AsyncConnection, consent: Consent, subject_id: str | None, representative_id: str | None
    ) -> Consent:
        now = whole_seconds(self._clock.now())
        _require(state(consent, now), ConsentState.AWAITING_AUTHORISATION)
        rejected = replace(
            consent,
            subject_id=subject_id,
            ended_at=now,
            ended_as=ConsentState.REJECTED,
            ended_by=Party.SUBJECT,
            end_reason=EndReason.REFUSED,
        )
        await self._journal.write(tx, now, Change(Event.REJECTED, rejected, representative_id=representative_id))
        return rejected

    async def withdraw(self, consent_id: str, by: Party, who: str, *, representative_id: str | None = None) -> Consent:
        """Ends the consent at once: no check that starts after this returns is answered under it.

        ``who`` is the subject's, the partner's or the operator's id, ``representative_id`` who acts for a company. A
        consent that is used up or whose time is over can be withdrawn as well, which ends the right to fetch its
        answers again; one that is withdrawn already stays as it is. Raises ``XinyiError``: NOT_FOUND when it isn't
        theirs, WRONG_STATE when it was never given and isn't asked for any more.
        """
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id, by, who)
            now = whole_seconds(self._clock.now())
            present = state(consent, now)
            if present is ConsentState.WITHDRAWN:
                return consent
            # What has run its course may be withdrawn too: its answers aren't given again then.
            _require(present, *OPEN, ConsentState.CONSUMED, *((ConsentState.EXPIRED,) if consent.given else ()))
            withdrawn = _withdrawn(consent, by, _WITHDRAWALS[by], now)
            await self._journal.write(tx, now, Change(Event.WITHDRAWN, withdrawn, representative_id=representative_id))
            return withdrawn

    async def give_up(self, consent_id: str, partner_id: str, client_id: str) -> Consent:
        """As :meth:`withdraw`, by the partner: also by one that is suspended, whose wish to let go is welcome.

        Raises ``XinyiError(NOT_ENTITLED)`` for a client that is disabled, else as :meth:`withdraw`.
        """
        async with self._database.read() as tx:
            client = await self._partners.client(tx, client_id)
        if client is None or not client.active:
            raise XinyiError(Code.NOT_ENTITLED, "the client is disabled")
        return await self.withdraw(consent_id, Party.PARTNER, partner_id)

    async def pause(self, consent_id: str, subject_id: str, *, representative_id: str | None = None) -> Consent:
        """Checks are refused until the subject resumes. Raises ``XinyiError``: NOT_FOUND, WRONG_STATE."""
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id, Party.SUBJECT, subject_id)
            now = whole_seconds(self._clock.now())
            _require(state(consent, now), ConsentState.AUTHORISED)
            paused = replace(consent, paused_at=now)
            await self._journal.write(tx, now, Change(Event.PAUSED, paused, representative_id=representative_id))
            return paused

    async def resume(self, consent_id: str, subject_id: str, *, representative_id: str | None = None) -> Consent:
        """Undoes a pause; the consent ends when it would have ended. Raises ``XinyiError``: NOT_FOUND, WRONG_STATE."""
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id, Party.SUBJECT, subject_id)
            now = whole_seconds(self._clock.now())
            _require(state(consent, now), ConsentState.PAUSED)
            resumed = replace(consent, paused_at=None)
            await self._journal.write(tx, now, Change(Event.RESUMED, resumed, representative_id=representative_id))
            return resumed

    async def find(self, tx: AsyncConnection, consent_id: str) -> Consent:
        """The consent, whoever's it is. Raises ``XinyiError(NOT_FOUND)``."""
        found = (await repo.load(tx, [consent_id])).get(consent_id) if is_id("cns", consent_id) else None
        if found is None:
            raise XinyiError(Code.NOT_FOUND)
        return found

    async def of_partner(self, consent_id: str, partner_id: str) -> Consent:
        """A partner's own consent. Raises ``XinyiError(NOT_FOUND)``, alike for what is another's and what isn't."""
        async with self._database.read() as tx:
            return await self.own(tx, consent_id, partner_id)

    async def of_subject_or_none(self, consent_id: str, subject_id: str) -> Consent | None:
        """The consent, when this subject answered it; ``None`` for what is open, another's, or doesn't exist."""
        async with self._database.read() as tx:
            try:
                return await self.mine(tx, consent_id, subject_id)
            except XinyiError:
                return None

    async def notice_of(self, consent: Consent, language: Language) -> Notice:
        """As :meth:`notice`, in a unit of work of its own."""
        async with self._database.read() as tx:
            return await self.notice(tx, consent, language)

    async def mine(self, tx: AsyncConnection, consent_id: str, subject_id: str) -> Consent:
        """A consent that this subject answered. Raises ``XinyiError(NOT_FOUND)``."""
        return _owned(await self.find(tx, consent_id), Party.SUBJECT, subject_id)

    async def own(self, tx: AsyncConnection, consent_id: str, partner_id: str) -> Consent:
        """As :meth:`of_partner`, in the caller's unit of work."""
        return _owned(await self.find(tx, consent_id), Party.PARTNER, partner_id)

    async def listed(
        self,
        partner_id: str,
        *,
        state: ConsentState | None = None,
        scenario_id: str | None = None,
        sub_party_id: str | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Consent]:
        """A partner's own consents, newest first, from behind the id ``before`` on."""
        async with self._database.read() as tx:
            return await repo.of_partner(
                tx,
                partner_id,
                at=self._clock.now(),
                state=state,
                scenario_id=scenario_id,
                sub_party_id=sub_party_id,
                before=before,
                limit=limit,
            )

    async def awaiting(self, tx: AsyncConnection, subject_id: str) -> list[Awaiting]:
        """What the subject is asked at this moment, by link or for more time; what lapses first comes first."""
        now = self._clock.now()
        asked = await repo.asked_of(tx, await self._subjects.every_key_of(tx, subject_id), now)
        found = [Awaiting(consent=each, extension=None, until=each.request_expires_at) for each in asked]
        for consent in await repo.to_extend(tx, subject_id):
            extension = await repo.undecided_extension(tx, consent.id)
            if extension and extension_state(extension, consent, now) is ExtensionState.AWAITING_AUTHORISATION:
                found.append(Awaiting(consent=consent, extension=extension, until=extension.request_expires_at))
        return sorted(found, key=lambda each: (each.until, each.consent.id))

    async def copy_for(self, consent_id: str, by: Party, who: str) -> str:
        """The signed copy of a written consent, for the two sides of it.

        Raises ``XinyiError(NOT_FOUND)`` when it isn't theirs, and when there is none.
        """
        async with self._database.read() as tx:
            consent = _owned(await self.find(tx, consent_id), by, who)
            copy = await repo.copy_of(tx, consent.id)
        if copy is None:
            raise XinyiError(Code.NOT_FOUND)
        return copy

    async def renew_copy(self, tx: AsyncConnection, consent: Consent, at: datetime) -> None:
        """Stores a copy of a written consent anew, once it lasts longer."""
        token = await repo.copy_of(tx, consent.id)
        assert token is not None, "a written consent has a copy"
        earlier = read(token)
        await self.sign_copy(tx, consent, earlier.partner, earlier.sub_party, earlier.text, at)

    async def sign_copy(
        self, tx: AsyncConnection, consent: Consent, partner: str, sub_party: str | None, text: str, at: datetime
    ) -> None:
        """Stores a signed copy of the text that the subject agreed to."""
        subject = self.pairwise(consent)
        assert subject is not None, "the consent was given"
        assert consent.authorised_at is not None
        assert consent.expires_at is not None
        assert consent.language is not None
        assert consent.notice_digest is not None
        copy = Copy(
            iss=self._signer.issuer,
            consent_id=consent.id,
            partner_id=consent.partner_id,
            partner=partner,
            sub_party_id=consent.sub_party_id,
            sub_party=sub_party,
            subject=subject,
            scenario=ScenarioVersion(consent.scenario_id, consent.scenario_version, consent.scenario_digest),
            language=consent.language,
            authorised_at=consent.authorised_at,
            expires_at=consent.expires_at,
            notice_digest=consent.notice_digest,
            text_digest=text_digest(text),
            text=text,
            statement=STATEMENT,
            signed_at=at,
        )
        await repo.add_copy(tx, consent.id, self._signer.sign(copy), at)

    async def of_subject(self, subject_id: str) -> list[Consent]:
        """The consents that the subject answered, newest first."""
        async with self._database.read() as tx:
            return await repo.of_subject(tx, subject_id)

    def pairwise(self, consent: Consent) -> str | None:
        """The subject as the partner knows them, once they have agreed: a refusal doesn't tell who refused."""
        return self._journal.pairwise(consent)

    def representative(self, consent: Consent) -> str | None:
        """Who agreed for a company, as that company alone knows them; ``None`` when nobody acted for the subject."""
        return self._journal.representative(consent, consent.representative_id)

    def _scenario(self, consent: Consent) -> Scenario:
        return self._scenarios.version(consent.scenario_id, consent.scenario_version)

    async def _check_answerer(self, tx: AsyncConnection, consent: Consent, subject_id: str, kind: str) -> None:
        """One refusal for every subject who isn't the one that is asked, so that it tells nothing about the other."""
        named = consent.named_subject
        if kind != self._scenario(consent).subject_kind:
            raise XinyiError(Code.NOT_ENTITLED)
        if named is not None and not await self._subjects.is_key_of(tx, named, subject_id):
            raise XinyiError(Code.NOT_ENTITLED)

    async def _locked(self, tx: AsyncConnection, consent_id: str, by: Party | None = None, who: str = "") -> Consent:
        found = (await repo.lock(tx, [consent_id])).get(consent_id) if is_id("cns", consent_id) else None
        if found is None:
            raise XinyiError(Code.NOT_FOUND)
        return found if by is None else _owned(found, by, who)


def _withdrawn(consent: Consent, by: Party, reason: EndReason, at: datetime) -> Consent:
    return replace(consent, ended_at=at, ended_as=ConsentState.WITHDRAWN, ended_by=by, end_reason=reason)


def _require(present: ConsentState, *wanted: ConsentState) -> None:
    if present not in wanted:
        raise XinyiError(Code.WRONG_STATE, f"the consent is {present.value}")


def _owned(consent: Consent, by: Party, who: str) -> Consent:
    owner = {Party.SUBJECT: consent.subject_id, Party.PARTNER: consent.partner_id, Party.OPERATOR: who}[by]
    if owner != who:
        raise XinyiError(Code.NOT_FOUND)
    return consent
