"""``/v1/partner/usage`` and ``/v1/partner/quota``."""

from datetime import date
from typing import Annotated, Final

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from ..kernel.errors import Code
from ..web.envelope import Envelope
from ..web.principal import Principal, Scope, requires
from ..web.problem import problems
from ..web.rates import WINDOW, Limit, Rates
from .model import CURRENCY, Period
from .service import UsageService

_PROBLEMS = (
    Code.UNAUTHENTICATED,
    Code.INVALID_TOKEN,
    Code.INVALID_DPOP_PROOF,
    Code.INSUFFICIENT_SCOPE,
    Code.UNAVAILABLE,
)

_OF_CLIENTS: Final = tuple(limit for limit in Limit if limit is not Limit.REQUESTS)
"""Those that count a client's calls, and not a subject's."""


class UsageView(Struct, frozen=True, kw_only=True):
    """The checks of one scenario in one period."""

    period: Annotated[str, Meta(description="The day or the month, in China.", examples=["2026-11-24"])]
    scenario: Annotated[str, Meta(description="The scenario's id.", examples=["bike-deposit"])]
    answered: Annotated[int, Meta(ge=0, description="Checks that were answered, whatever the outcome.", examples=[412])]
    refused: Annotated[int, Meta(ge=0, description="Checks that were refused: they cost nothing.", examples=[3])]
    amount: Annotated[
        str, Meta(description="What the answers cost, in `meta.currency`: cost recovery, if any.", examples=["20.6000"])
    ]


class QuotaView(Struct, frozen=True, kw_only=True):
    """How often this client may call, and how often it still may in this window."""

    limit: Annotated[Limit, Meta(description="What is counted.", examples=["checks"])]
    quota: Annotated[int, Meta(ge=1, description="The most in a window.", examples=[300000])]
    window_seconds: Annotated[int, Meta(ge=1, description="How long a window is.", examples=[60])]
    remaining: Annotated[int, Meta(ge=0, description="What is left in this one.", examples=[299588])]
    ends_in_seconds: Annotated[int, Meta(ge=0, description="When the next one begins.", examples=[17])]


class UsageController(Controller):
    """What a partner used, and what is left."""

    path = "/v1/partner"
    tags = ("Partner",)
    guards = (requires(Scope.PARTNER),)

    @get("/usage", operation_id="getUsage", summary="What you used", responses=problems(*_PROBLEMS, Code.INVALID))
    async def read_usage(
        self,
        principal: NamedDependency[Principal],
        usage: NamedDependency[UsageService],
        first: Annotated[
            date | None,
            QueryParameter(
                name="from", required=False, description="The first day; by default the first of the last day's month."
            ),
        ] = None,
        last: Annotated[
            date | None, QueryParameter(name="to", required=False, description="The last day; by default today.")
        ] = None,
        by: Annotated[Period, QueryParameter(required=False, description="What it is summed up by.")] = Period.DAY,
    ) -> Envelope[list[UsageView]]:
        """Counts the checks of all of the partner's clients by scenario, up to this moment, and what they cost.

        At most 366 days, which are days in China. Repetitions under an idempotency key count once.
        """
        first, last = usage.days(first, last)
        found = await usage.usage(first, last, by, partner_id=principal.partner)
        views = [
            UsageView(
                period=each.period,
                scenario=each.scenario_id,
                answered=each.answered,
                refused=each.refused,
                amount=each.amount,
            )
            for each in found
        ]
        return Envelope(views, meta={"currency": CURRENCY, "from": first.isoformat(), "to": last.isoformat()})

    @get("/quota", operation_id="getQuota", summary="How often you may call", responses=problems(*_PROBLEMS))
    async def read_quota(
        self, principal: NamedDependency[Principal], rates: NamedDependency[Rates]
    ) -> Envelope[list[QuotaView]]:
        """Gives each limit of the calling client, and what is left of it; a call too many is `rate_limited`."""
        standing = [await rates.standing(limit, principal.client_id) for limit in _OF_CLIENTS]
        return Envelope(
            [
                QuotaView(
                    limit=rate.limit,
                    quota=rate.quota,
                    window_seconds=WINDOW,
                    remaining=rate.left,
                    ends_in_seconds=rate.ends_in,
                )
                for rate in standing
            ]
        )
