"""``/v1/me/previews``: what a partner would see, for the subject's own eyes."""

from typing import Annotated

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from ..consents.previews import PreviewService
from ..consents.seen import Preview
from ..kernel.errors import Code, XinyiError
from ..web.envelope import Envelope
from ..web.problem import problems
from ..web.session import SubjectSession
from .guards import DEPENDENCIES, GUARDS, OF_BODY, OF_CHANGE, SECURITY


class PreviewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What to preview: a consent that is asked for or in force, or, before anybody asks, a scenario."""

    consent_id: (
        Annotated[
            str,
            Meta(
                max_length=64,
                pattern="^[a-z0-9_]+$",
                description="A consent: then it shows what its partner would see.",
                examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"],
            ),
        ]
        | None
    ) = None
    scenario: (
        Annotated[
            str,
            Meta(
                max_length=64,
                pattern="^[a-z0-9-]+$",
                description="A scenario instead: then it shows what any partner could see at most.",
            ),
        ]
        | None
    ) = None


class MyPreviewController(Controller):
    """Previews."""

    path = "/v1/me/previews"
    tags = ("Subject",)
    guards = GUARDS
    dependencies = DEPENDENCIES
    security = SECURITY

    @post(
        status_code=200,
        operation_id="previewMyself",
        summary="See what a partner would see",
        responses=problems(*OF_CHANGE, *OF_BODY, Code.NOT_ENTITLED, Code.CONSENT_OUTDATED, Code.WRONG_STATE),
    )
    async def preview(
        self,
        data: JSONBody[PreviewRequest],
        actor: NamedDependency[SubjectSession],
        previews: NamedDependency[PreviewService],
    ) -> Envelope[Preview]:
        """Evaluates and minimises exactly as a check would at this moment, and shows it to the subject alone.

        No use of a consent is spent, the ledger gets no entry, and the partner isn't told.
        """
        who = {"subject_id": actor.subject_id, "kind": actor.kind}
        match (data.consent_id, data.scenario):
            case (str() as consent_id, None):
                return Envelope(await previews.of_consent(consent_id, **who))
            case (None, str() as scenario):
                return Envelope(await previews.of_scenario(scenario, **who))
            case _:
                raise XinyiError(Code.INVALID, "name either consent_id or scenario", source="/consent_id")
