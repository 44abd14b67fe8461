"""``/v1/checks``."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody, PathParameter

from ..kernel.errors import Code, XinyiError
from ..web.direct import Direct
from ..web.principal import STANDING_BY_SERVICE, Principal, Scope, provide_principal, requires
from ..web.problem import problems
from ..web.rates import OPTION, Limit
from .engine import Engine
from .model import Answered, Ask, CheckBody, CheckRequest, ReceiptBody, Refused, Result
from .service import CheckService

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="idempotency-key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        required=False,
        description="The same key with the same request gives the same answer again, and spends no further use.",
    ),
]
CheckId = Annotated[str, PathParameter(max_length=64, description="The check's id.")]

_REFUSALS = (
    Code.INSUFFICIENT_SCOPE,
    Code.NOT_ENTITLED,
    Code.PARTNER_SUSPENDED,
    Code.SCENARIO_MISMATCH,
    Code.CONSENT_PAUSED,
    Code.CONSENT_WITHDRAWN,
    Code.CONSENT_EXPIRED,
    Code.CONSENT_CONSUMED,
    Code.CONSENT_OUTDATED,
)
_UNAUTHENTICATED = (Code.UNAUTHENTICATED, Code.INVALID_TOKEN, Code.INVALID_DPOP_PROOF)


class CheckController(Controller):
    """Checks of one subject against one scenario under one consent."""

    path = "/v1/checks"
    tags = ("Checks",)
    guards = (requires(Scope.CHECKS),)

    @post(
        operation_id="createCheck",
        summary="Check one subject against one scenario",
        opt={**STANDING_BY_SERVICE, OPTION: Limit.CHECKS},
        status_code=200,
        middleware=(Direct,),
        responses=problems(
            Code.MALFORMED,
            *_UNAUTHENTICATED,
            *_REFUSALS,
            Code.NOT_FOUND,
            Code.BODY_TOO_LARGE,
            Code.UNSUPPORTED_MEDIA_TYPE,
            Code.INVALID,
            Code.IDEMPOTENCY_KEY_REUSED,
            Code.UNAVAILABLE,
        ),
    )
    async def create(
        self,
        data: JSONBody[CheckRequest],
        request: Request[Any, Any, Any],
        engine: NamedDependency[Engine],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[CheckBody]:
        """Says whether the published criteria of the scenario are met, under a consent that the subject gave.

        Each answer and each refusal under a known consent leaves an entry in the ledger; an answer carries its
        receipt. A use of the consent is spent whatever the outcome. An unknown consent is a 404 and leaves nothing.
        """
        principal = provide_principal(request)  # Litestar resolves two dependencies as tasks: this path is hot
        ask = Ask(
            client_id=principal.client_id,
            partner_id=principal.partner,
            bound_consent_id=principal.consent_id,
            request=data,
            idempotency_key=idempotency_key,
        )
        return _respond(await engine.check(ask))

    @get(
        "/{check_id:str}",
        operation_id="getCheck",
        summary="Give an earlier answer again",
        responses=problems(*_UNAUTHENTICATED, *_REFUSALS, Code.NOT_FOUND, Code.UNAVAILABLE),
    )
    async def read(
        self, check_id: CheckId, principal: NamedDependency[Principal], checks: NamedDependency[CheckService]
    ) -> Response[CheckBody]:
        """Gives the answer exactly as it was given; a refusal is refused again.

        Once the subject has withdrawn the consent, answers aren't given again.
        """
        return _respond(await _stored(check_id, principal, checks))

    @get(
        "/{check_id:str}/receipt",
        operation_id="getCheckReceipt",
        summary="Give an answer's receipt again",
        responses=problems(*_UNAUTHENTICATED, *_REFUSALS, Code.NOT_FOUND, Code.UNAVAILABLE),
    )
    async def receipt(
        self, check_id: CheckId, principal: NamedDependency[Principal], checks: NamedDependency[CheckService]
    ) -> ReceiptBody:
        """Gives the receipt alone: it verifies offline with the keys at `/v1/ledger/jwks`."""
        return checks.receipt(_answered(await _stored(check_id, principal, checks)))


async def _stored(check_id: str, principal: Principal, checks: CheckService) -> Result:
    return await checks.get(
        client_id=principal.client_id,
        partner_id=principal.partner,
        bound_consent_id=principal.consent_id,
        check_id=check_id,
    )


def _answered(result: Result) -> Answered:
    """Raises the refusal, if it is one."""
    if isinstance(result, Refused):
        instance = None if result.check_id is None else f"/v1/checks/{result.check_id}"
        raise XinyiError(result.code, source=result.source, instance=instance)
    return result


def _respond(result: Result) -> Response[Any]:
    """The stored bytes as they are: a replay is identical to the byte."""
    return Response(_answered(result).body, media_type="application/json", status_code=200)
