"""``/v1/checks``."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from msgspec import UNSET
from msgspec.structs import asdict, replace

from ..kernel.errors import Code, XinyiError
from ..web.direct import Direct
from ..web.envelope import Envelope
from ..web.principal import STANDING_BY_SERVICE, Principal, Scope, provide_principal, requires
from ..web.problem import problems
from ..web.rates import OPTION, Limit
from .engine import Engine
from .listing import CheckList, CheckSummary, Filter
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
        operation_id="listChecks",
        summary="List your checks",
        responses=problems(*_UNAUTHENTICATED, Code.INSUFFICIENT_SCOPE, Code.INVALID, Code.UNAVAILABLE),
    )
    async def list_checks(
        self,
        principal: NamedDependency[Principal],
        check_list: NamedDependency[CheckList],
        limit: Annotated[int, QueryParameter(ge=1, le=200, description="The most checks of a page.")] = 50,
        cursor: Annotated[
            str | None,
            QueryParameter(
                pattern="^chk_[0-9a-z]{26}$", required=False, description="`meta.next_cursor` of the page before."
            ),
        ] = None,
        scenario: Annotated[
            str | None, QueryParameter(max_length=60, required=False, description="Only of this scenario.")
        ] = None,
        consent_id: Annotated[
            str | None, QueryParameter(max_length=64, required=False, description="Only under this consent.")
        ] = None,
        reference: Annotated[
            str | None, QueryParameter(max_length=128, required=False, description="Only of this case of yours.")
        ] = None,
        since: Annotated[
            datetime | None,
            QueryParameter(required=False, description="Only from this moment on, with its offset from UTC."),
        ] = None,
        until: Annotated[
            datetime | None,
            QueryParameter(required=False, description="Only before this moment, with its offset from UTC."),
        ] = None,
    ) -> Envelope[list[CheckSummary]]:
        """Gives the partner's checks, refused ones included, the newest first, each with its outcome.

        Where the answer isn't given again (withdrawn, paused, past its time) `refusal` says why in the outcome's place.
        With a filter a page may be short, or empty, although more come: go on until `meta.next_cursor` is null.
        A token that is bound to a consent sees the checks under that one.
        """
        for name, moment in (("since", since), ("until", until)):
            if moment is not None and moment.tzinfo is None:
                raise XinyiError(Code.INVALID, "a moment has its offset from UTC", source=name)
        which = Filter(scenario=scenario, consent_id=consent_id, reference=reference, since=since, until=until)
        query = {name: str(value) for name, value in asdict(which).items() if value is not None}
        if principal.consent_id is not None:
            if consent_id not in {None, principal.consent_id}:
                return Envelope([], meta={"limit": limit, "next_cursor": None})
            which = replace(which, consent_id=principal.consent_id)
        page = await check_list.page(
            client_id=principal.client_id, partner_id=principal.partner, which=which, after=cursor, limit=limit
        )
        links = {}
        if page.after is not None:
            links["next"] = "/v1/checks?" + urlencode({"limit": limit, **query, "cursor": page.after})
        return Envelope(page.checks, links=links or UNSET, meta={"limit": limit, "next_cursor": page.after})

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
