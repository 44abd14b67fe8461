"""``/v1/checks/{id}/feedback``."""

from datetime import datetime
from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct

from ..kernel.errors import Code
from ..web.envelope import Envelope
from ..web.principal import Principal, Scope, requires
from ..web.problem import problems
from .model import BenefitBand, Feedback, Result, StoredFeedback
from .service import FeedbackService

CheckId = Annotated[str, PathParameter(max_length=64, description="The check's id.")]
_PROBLEMS = (
    Code.UNAUTHENTICATED,
    Code.INVALID_TOKEN,
    Code.INVALID_DPOP_PROOF,
    Code.INSUFFICIENT_SCOPE,
    Code.NOT_FOUND,
    Code.UNAVAILABLE,
)


class FeedbackView(Struct, frozen=True, kw_only=True):
    """What came of a check, as its partner said."""

    check_id: Annotated[str, Meta(description="The check.", examples=["chk_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    result: Annotated[Result, Meta(description="What became of the incentive.", examples=["granted"])]
    benefit_band: Annotated[BenefitBand, Meta(description="What it was worth, in yuan.", examples=["up_to_500"])] | None
    created_at: Annotated[datetime, Meta(tz=True, description="When it was first said.")]
    changed_at: Annotated[datetime, Meta(tz=True, description="Since when it is this.")]


class FeedbackController(Controller):
    """What came of checks."""

    path = "/v1/checks/{check_id:str}/feedback"
    tags = ("Checks",)
    guards = (requires(Scope.CHECKS),)

    @post(
        status_code=200,
        operation_id="giveCheckFeedback",
        summary="Say what came of a check",
        responses=problems(Code.MALFORMED, *_PROBLEMS, Code.WRONG_STATE, Code.INVALID),
    )
    async def give(
        self,
        check_id: CheckId,
        data: JSONBody[Feedback],
        principal: NamedDependency[Principal],
        feedback: NamedDependency[FeedbackService],
    ) -> Envelope[FeedbackView]:
        """Says whether the incentive was offered, granted or not used, and about what it was worth.

        How the subject behaved has no place here. Said again it changes nothing; another feedback takes its place.
        """
        stored = await feedback.give(
            check_id, data, partner_id=principal.partner, bound_consent_id=principal.consent_id
        )
        return _view(stored)

    @get(operation_id="getCheckFeedback", summary="See what you said of a check", responses=problems(*_PROBLEMS))
    async def read(
        self,
        check_id: CheckId,
        principal: NamedDependency[Principal],
        feedback: NamedDependency[FeedbackService],
    ) -> Envelope[FeedbackView]:
        """Gives the feedback on one of the partner's own checks; where nothing was said it is `not_found`."""
        stored = await feedback.find(check_id, partner_id=principal.partner, bound_consent_id=principal.consent_id)
        return _view(stored)


def _view(stored: StoredFeedback) -> Envelope[FeedbackView]:
    said = stored.feedback
    view = FeedbackView(
        check_id=stored.check_id,
        result=said.result,
        benefit_band=said.benefit_band,
        created_at=stored.created_at,
        changed_at=stored.changed_at,
    )
    return Envelope(view, links={"check": f"/v1/checks/{stored.check_id}"})
