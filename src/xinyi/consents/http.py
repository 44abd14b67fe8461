"""A partner's own consents: how they stand, and giving one up."""

from datetime import datetime
from typing import Annotated

from litestar import Controller, delete, get
from litestar.di import NamedDependency
from litestar.params import PathParameter
from msgspec import Meta, Struct

from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from ..scenarios.model import ConsentForm, Uses
from ..web.envelope import Envelope
from ..web.principal import Principal, Scope, requires
from ..web.problem import problems
from .model import Consent, ConsentState, EndReason, Party, end, state
from .service import ConsentService

ConsentId = Annotated[str, PathParameter(description="The consent.")]


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
    subject: Annotated[str, Meta(description="The subject, as this partner alone knows them.")] | None
    created_at: Annotated[datetime, Meta(tz=True, description="When it was asked for.")]
    request_expires_at: Annotated[datetime, Meta(tz=True, description="When the request ends, unless it is answered.")]
    authorised_at: Annotated[datetime, Meta(tz=True, description="When the subject agreed.")] | None
    expires_at: Annotated[datetime, Meta(tz=True, description="When the consent ends by itself.")] | None
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
        subject=subject,
        created_at=consent.created_at,
        request_expires_at=consent.request_expires_at,
        authorised_at=consent.authorised_at,
        expires_at=consent.expires_at,
        ended=None if ended is None else EndView(ended.at, ended.by, ended.reason),
    )


_PROBLEMS = (Code.UNAUTHENTICATED, Code.INVALID_TOKEN, Code.INVALID_DPOP_PROOF, Code.INSUFFICIENT_SCOPE, Code.NOT_FOUND)


class ConsentController(Controller):
    """Consents, for partners."""

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

    @delete(
        "/{consent_id:str}",
        status_code=200,
        operation_id="giveUpConsent",
        summary="Give a consent up",
        responses=problems(*_PROBLEMS, Code.WRONG_STATE),
    )
    async def give_up(
        self,
        principal: NamedDependency[Principal],
        consents: NamedDependency[ConsentService],
        clock: NamedDependency[Clock],
        consent_id: ConsentId,
    ) -> Envelope[ConsentView]:
        """Ends one of the partner's own consents at once. Doing it again changes nothing and answers the same."""
        consent = await consents.withdraw(_allowed(principal, consent_id), Party.PARTNER, principal.partner)
        return Envelope(view(consent, consents.pairwise(consent), clock.now()))


def _allowed(principal: Principal, consent_id: str) -> str:
    """The id, unless the token is bound to another consent."""
    if principal.consent_id not in {None, consent_id}:
        raise XinyiError(Code.NOT_FOUND)
    return consent_id
