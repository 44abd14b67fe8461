"""``/v1/consents``: a partner asks by link, sees its own consents, asks for more time, and gives one up."""

from datetime import datetime
from io import BytesIO
from typing import Annotated

import segno
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, Struct

from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from ..scenarios.model import ConsentForm, Uses
from ..settings import Settings
from ..subjects.model import SubjectKind
from ..web.envelope import Envelope
from ..web.principal import STANDING_BY_SERVICE, Principal, Scope, requires
from ..web.problem import problems
from .asking import Ask, AskService
from .copies import read as read_copy
from .extending import ExtensionService
from .model import (
    Channel,
    Consent,
    ConsentState,
    EndReason,
    Extension,
    ExtensionState,
    Party,
    end,
    extension_state,
    state,
)
from .service import ConsentService, page_path

ConsentId = Annotated[str, PathParameter(description="The consent.")]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="idempotency-key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        required=False,
        description="The same key with the same request gives the same answer again, and asks nobody twice.",
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=200, required=False, description="The most to list.")]
Cursor = Annotated[
    str | None,
    QueryParameter(pattern="^[a-z0-9_]{1,64}$", required=False, description="`meta.next_cursor` of the page before."),
]
StateFilter = Annotated[
    ConsentState | None, QueryParameter(name="state", required=False, description="Only those in this state now.")
]
ScenarioFilter = Annotated[
    str | None,
    QueryParameter(
        name="scenario", pattern="^[a-z0-9-]{1,64}$", required=False, description="Only those to this scenario."
    ),
]
SubPartyFilter = Annotated[
    str | None,
    QueryParameter(
        name="sub_party",
        pattern="^[a-z0-9_]{1,64}$",
        required=False,
        description="Only those given to this branch or merchant of yours, or asked for by it.",
    ),
]


class ScenarioVersion(Struct, frozen=True):
    """The version of a scenario that a consent is for."""

    id: Annotated[str, Meta(description="The scenario's id.", examples=["bike-deposit"])]
    version: Annotated[int, Meta(ge=1, description="Its version.", examples=[1])]
    digest: Annotated[str, Meta(description="SHA-256 over its canonical form.", examples=["sha-256:8Vq3…"])]


class EndView(Struct, frozen=True):
    """How a consent ended."""

    at: Annotated[datetime, Meta(tz=True, description="When.")]
    by: Annotated[Party, Meta(description="Who ended it.")]
    reason: Annotated[EndReason, Meta(description="Why.")]


class ConsentView(Struct, frozen=True, kw_only=True):
    """A consent as its partner sees it."""

    id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    state: Annotated[ConsentState, Meta(description="Its state at this moment.")]
    scenario: ScenarioVersion
    units: Annotated[tuple[str, ...], Meta(description="The criteria and fields that an answer may tell.")]
    form: Annotated[ConsentForm, Meta(description="Separate or written consent.")]
    uses: Annotated[Uses, Meta(description="Whether it carries one check or several.")]
    use_count: Annotated[int, Meta(ge=0, description="The checks made under it.")]
    sub_party: (
        Annotated[
            str,
            Meta(
                description="The partner's branch or merchant that it is given to.",
                examples=["sbp_01kb0x4m9v5w8q2r7s3t6y1zab"],
            ),
        ]
        | None
    )
    channel: Annotated[Channel, Meta(description="Whether it was asked for by redirect or by link.")]
    subject: Annotated[str, Meta(description="The subject, as this partner alone knows them.")] | None
    created_at: Annotated[datetime, Meta(tz=True, description="When it was asked for.")]
    request_expires_at: Annotated[datetime, Meta(tz=True, description="When the request ends, unless it is answered.")]
    authorised_at: Annotated[datetime, Meta(tz=True, description="When the subject agreed.")] | None
    expires_at: Annotated[datetime, Meta(tz=True, description="When the consent ends by itself.")] | None
    notice_digest: Annotated[str, Meta(description="The digest of the notice that was agreed to.")] | None
    text_digest: Annotated[str, Meta(description="Of a written consent: the digest of its full text.")] | None
    ended: EndView | None


def view(consent: Consent, subject: str | None, at: datetime) -> ConsentView:
    """The consent as its partner sees it at the moment ``at``."""
    ended = end(consent, at)
    return ConsentView(
        id=consent.id,
        state=state(consent, at),
        scenario=ScenarioVersion(consent.scenario_id, consent.scenario_version, consent.scenario_digest),
        units=consent.units,
        form=consent.form,
        uses=consent.uses,
        use_count=consent.use_count,
        sub_party=consent.sub_party_id,
        channel=consent.channel,
        subject=subject,
        created_at=consent.created_at,
        request_expires_at=consent.request_expires_at,
        authorised_at=consent.authorised_at,
        expires_at=consent.expires_at,
        notice_digest=consent.notice_digest,
        text_digest=consent.text_digest,
        ended=None if ended is None else EndView(ended.at, ended.by, ended.reason),
    )


class AskedSubject(Struct, frozen=True, forbid_unknown_fields=True):
    """The subject that the partner knows: nobody else can answer."""

    identifier: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            description="A USCC (GB 32100) or resident id (GB 11643).",
            examples=["990001199005010074"],
        ),
    ]
    kind: Annotated[SubjectKind, Meta(description="Needed only when the identifier fits both kinds.")] | None = None

    def __repr__(self) -> str:
        return "AskedSubject()"


class ConsentAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """A request for one subject's consent to one scenario."""

    scenario: Annotated[
        str, Meta(pattern="^[a-z0-9-]{1,64}$", description="The scenario's id.", examples=["bike-deposit"])
    ]
    subject: AskedSubject
    version: Annotated[int, Meta(ge=1, description="A version in use; the latest unless given.")] | None = None
    sub_party: (
        Annotated[
            str,
            Meta(
                pattern="^[a-z0-9_]{1,64}$",
                description="The branch or merchant that asks: one of `GET /v1/partner/sub-parties` that is active.",
                examples=["sbp_01kb0x4m9v5w8q2r7s3t6y1zab"],
            ),
        ]
        | None
    ) = None


class AskView(Struct, frozen=True, kw_only=True):
    """What was asked, and how the subject gets to it. The same for a subject that is known and one that isn't."""

    id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    scenario: ScenarioVersion
    units: Annotated[tuple[str, ...], Meta(description="The criteria and fields that an answer may tell.")]
    form: Annotated[ConsentForm, Meta(description="Separate or written consent.")]
    uses: Annotated[Uses, Meta(description="Whether it carries one check or several.")]
    created_at: Annotated[datetime, Meta(tz=True, description="When it was asked for.")]
    request_expires_at: Annotated[datetime, Meta(tz=True, description="When the request ends, unless it is answered.")]
    link: Annotated[
        str,
        Meta(
            description="For the subject, who signs in there. It opens nothing to anybody else.",
            examples=["https://credit.example/consents/cns_01kb0x4m9v5w8q2r7s3t6y1zab"],
        ),
    ]
    qr_svg: Annotated[str, Meta(description="The link as a QR code, to be shown at a counter.", examples=["<svg …>"])]


class ExtensionAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """A request for more time."""

    days: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=366,
                description="How long the consent lasts from the moment the subject agrees; what the scenario allows "
                "unless given.",
                examples=[90],
            ),
        ]
        | None
    ) = None


class ExtensionView(Struct, frozen=True, kw_only=True):
    """More time that was asked for."""

    id: Annotated[str, Meta(description="The extension.", examples=["ext_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    state: Annotated[ExtensionState, Meta(description="How it stands at this moment.")]
    days: Annotated[int, Meta(ge=1, description="How long the consent lasts from the subject's yes.", examples=[90])]
    created_at: Annotated[datetime, Meta(tz=True, description="When it was asked for.")]
    request_expires_at: Annotated[datetime, Meta(tz=True, description="When it lapses, unless it is answered.")]
    decided_at: Annotated[datetime, Meta(tz=True, description="When it was decided, or lapsed.")] | None
    expired_before: Annotated[datetime, Meta(tz=True, description="When the consent would have ended without it.")]
    expires_at: Annotated[datetime, Meta(tz=True, description="When the consent ends with it.")] | None


def extension_view(extension: Extension, consent: Consent, at: datetime) -> ExtensionView:
    """The extension of ``consent`` as it stands at the moment ``at``."""
    return ExtensionView(
        id=extension.id,
        state=extension_state(extension, consent, at),
        days=extension.days,
        created_at=extension.created_at,
        request_expires_at=extension.request_expires_at,
        decided_at=extension.decided_at,
        expired_before=extension.expired_before,
        expires_at=extension.expires_at,
    )


class ReminderView(Struct, frozen=True):
    """That the subject was reminded: whether or not they are known here."""

    reminded_at: Annotated[datetime, Meta(tz=True, description="When.")]
    again_at: Annotated[datetime, Meta(tz=True, description="Before this they may not be reminded again.")]


class CopyView(Struct, frozen=True, kw_only=True):
    """The signed copy of a written consent. The signature is the platform's, not the subject's."""

    consent_id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    text: Annotated[str, Meta(description="The full text that was agreed to.")]
    text_digest: Annotated[str, Meta(description="SHA-256 over the text.", examples=["sha-256:8Vq3…"])]
    signed_at: Annotated[datetime, Meta(tz=True, description="When the platform signed.")]
    jws: Annotated[
        str,
        Meta(
            description="The copy as a compact JWS, type `xinyi-consent+jws`: verifies with the keys at "
            "`/v1/ledger/jwks`.",
            examples=["eyJhbGciOiJFUzI1NiIs…"],
        ),
    ]


_PROBLEMS = (Code.UNAUTHENTICATED, Code.INVALID_TOKEN, Code.INVALID_DPOP_PROOF, Code.INSUFFICIENT_SCOPE, Code.NOT_FOUND)


class ConsentAskController(Controller):
    """Asking for consents outside a redirect, for partners."""

    path = "/v1/consents"
    tags = ("Consents",)
    guards = (requires(Scope.CONSENTS),)

    @post(
        status_code=201,
        operation_id="askForConsent",
        summary="Ask a subject for a consent by link or QR code",
        responses=problems(Code.WRONG_STATE, Code.IDEMPOTENCY_KEY_REUSED, Code.COOLING_DOWN),
    )
    async def ask(
        self,
        data: JSONBody[ConsentAsk],
        principal: NamedDependency[Principal],
        asks: NamedDependency[AskService],
        settings: NamedDependency[Settings],
        idempotency_key: IdempotencyKey = None,
    ) -> Envelope[AskView]:
        """Names the subject, who opens the link, signs in and decides within the hour; nobody else can.

        The answer and its time are the same for an identifier that is known and one that isn't. One ask for a scenario
        waits at a time; for a while after the subject refused it the same isn't asked again: `cooling_down`.
        """
        consent = await asks.ask(
            Ask(
                client_id=principal.client_id,
                partner_id=principal.partner,
                scenario_id=data.scenario,
                version=data.version,
                identifier=data.subject.identifier,
                kind=data.subject.kind,
                sub_party=data.sub_party,
                idempotency_key=idempotency_key,
            )
        )
        return Envelope(_ask_view(consent, settings.issuer))

    @get(
        operation_id="listConsents",
        summary="List your consents",
        responses=problems(*_PROBLEMS),
    )
    async def list_consents(
        self,
        principal: NamedDependency[Principal],
        consents: NamedDependency[ConsentService],
        clock: NamedDependency[Clock],
        limit: Limit = 50,
        cursor: Cursor = None,
        state_filter: StateFilter = None,
        scenario_filter: ScenarioFilter = None,
        sub_party_filter: SubPartyFilter = None,
    ) -> Envelope[list[ConsentView]]:
        """The partner's own consents, newest first, each with its state at this moment."""
        found = await consents.listed(
            principal.partner,
            state=state_filter,
            scenario_id=scenario_filter,
            sub_party_id=sub_party_filter,
            before=cursor,
            limit=limit + 1,
        )
        page, more = found[:limit], len(found) > limit
        next_cursor = page[-1].id if more else None
        filters = {"state": state_filter, "scenario": scenario_filter, "sub_party": sub_party_filter}
        kept = "".join(f"&{name}={value}" for name, value in filters.items() if value is not None)
        at = clock.now()
        return Envelope(
            [view(consent, consents.pairwise(consent), at) for consent in page],
            links={"next": f"/v1/consents?limit={limit}&cursor={next_cursor}{kept}"} if more else UNSET,
            meta={"limit": limit, "next_cursor": next_cursor},
        )

    @post(
        "/{consent_id:str}/reminders",
        status_code=200,
        operation_id="remindOfConsent",
        summary="Remind the subject once",
        responses=problems(Code.NOT_FOUND, Code.WRONG_STATE, Code.COOLING_DOWN),
    )
    async def remind(
        self,
        consent_id: ConsentId,
        principal: NamedDependency[Principal],
        asks: NamedDependency[AskService],
    ) -> Envelope[ReminderView]:
        """Shows the subject once more what waits for their answer, on their own page and, where a verified address is
        known, by e-mail. The answer is the same for whoever they are."""
        reminded, again_at = await asks.remind(consent_id, principal.partner)
        assert reminded.reminded_at is not None
        return Envelope(ReminderView(reminded.reminded_at, again_at))

    @post(
        "/{consent_id:str}/extensions",
        status_code=201,
        operation_id="askForExtension",
        summary="Ask for more time",
        responses=problems(Code.NOT_FOUND, Code.CONSENT_OUTDATED, Code.WRONG_STATE, Code.COOLING_DOWN),
    )
    async def extend(
        self,
        consent_id: ConsentId,
        data: JSONBody[ExtensionAsk],
        principal: NamedDependency[Principal],
        extensions: NamedDependency[ExtensionService],
        consents: NamedDependency[ConsentService],
        clock: NamedDependency[Clock],
    ) -> Envelope[ExtensionView]:
        """The subject decides on their own page, within a week and while the consent lasts. It keeps its id.

        A consent never lasts longer than its scenario allows from the subject's latest yes.
        """
        extension = await extensions.request(
            consent_id, partner_id=principal.partner, client_id=principal.client_id, days=data.days
        )
        consent = await consents.of_partner(consent_id, principal.partner)
        return Envelope(extension_view(extension, consent, clock.now()))

    @get(
        "/{consent_id:str}/extensions",
        operation_id="listExtensions",
        summary="The extensions of a consent",
        responses=problems(*_PROBLEMS),
    )
    async def list_extensions(
        self,
        consent_id: ConsentId,
        principal: NamedDependency[Principal],
        extensions: NamedDependency[ExtensionService],
        clock: NamedDependency[Clock],
    ) -> Envelope[list[ExtensionView]]:
        """What more time was asked for, and what became of it, newest first."""
        consent, found = await extensions.history(consent_id, principal.partner)
        at = clock.now()
        return Envelope([extension_view(extension, consent, at) for extension in found])


class ConsentController(Controller):
    """Consents that partners hold. A token that is bound to one consent sees that one."""

    path = "/v1/consents"
    tags = ("Consents",)
    guards = (requires(Scope.CONSENTS, or_consent=True),)

    @get(
        "/{consent_id:str}",
        operation_id="getConsent",
        summary="How a consent stands",
        responses=problems(*_PROBLEMS),
    )
    async def get_consent(
        self,
        principal: NamedDependency[Principal],
        consents: NamedDependency[ConsentService],
        clock: NamedDependency[Clock],
        consent_id: ConsentId,
    ) -> Envelope[ConsentView]:
        """The state of one of the partner's own consents, computed at this moment; another's is `not_found`."""
        consent = await consents.of_partner(_allowed(principal, consent_id), principal.partner)
        return Envelope(view(consent, consents.pairwise(consent), clock.now()))

    @get(
        "/{consent_id:str}/copy",
        operation_id="getConsentCopy",
        summary="The signed copy of a written consent",
        responses=problems(*_PROBLEMS),
    )
    async def get_copy(
        self,
        principal: NamedDependency[Principal],
        consents: NamedDependency[ConsentService],
        consent_id: ConsentId,
    ) -> Envelope[CopyView]:
        """The full text that the subject agreed to, signed by the platform; `not_found` when the form isn't written.

        The signature shows that a signed-in subject agreed to this text at this time. It isn't the subject's electronic
        signature.
        """
        jws = await consents.copy_for(_allowed(principal, consent_id), Party.PARTNER, principal.partner)
        copy = read_copy(jws)
        return Envelope(
            CopyView(
                consent_id=copy.consent_id,
                text=copy.text,
                text_digest=copy.text_digest,
                signed_at=copy.signed_at,
                jws=jws,
            )
        )

    @delete(
        "/{consent_id:str}",
        status_code=200,
        operation_id="giveUpConsent",
        summary="Give a consent up",
        opt=STANDING_BY_SERVICE,
        responses=problems(*_PROBLEMS, Code.WRONG_STATE),
    )
    async def give_up(
        self,
        principal: NamedDependency[Principal],
        consents: NamedDependency[ConsentService],
        clock: NamedDependency[Clock],
        consent_id: ConsentId,
    ) -> Envelope[ConsentView]:
        """Ends one of the partner's own consents at once. Doing it again changes nothing and answers the same.

        A partner that is suspended may do it too; so may one whose consent is used up or over: its answers aren't given
        again then.
        """
        consent = await consents.give_up(_allowed(principal, consent_id), principal.partner, principal.client_id)
        return Envelope(view(consent, consents.pairwise(consent), clock.now()))


def _allowed(principal: Principal, consent_id: str) -> str:
    """The id, unless the token is bound to another consent."""
    if principal.consent_id not in {None, consent_id}:
        raise XinyiError(Code.NOT_FOUND)
    return consent_id


def _ask_view(consent: Consent, issuer: str) -> AskView:
    link = issuer + page_path(consent.id)
    return AskView(
        id=consent.id,
        scenario=ScenarioVersion(consent.scenario_id, consent.scenario_version, consent.scenario_digest),
        units=consent.units,
        form=consent.form,
        uses=consent.uses,
        created_at=consent.created_at,
        request_expires_at=consent.request_expires_at,
        link=link,
        qr_svg=qr_svg(link),
    )


def qr_svg(link: str) -> str:
    """The link as a QR code (ISO/IEC 18004, error correction M), black on white, of no fixed size."""
    drawn = BytesIO()
    segno.make_qr(link, error="m").save(drawn, kind="svg", light="#fff", xmldecl=False, omitsize=True, nl=False)
    return drawn.getvalue().decode()
