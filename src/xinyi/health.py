"""Whether the program is alive, and whether it can do its work."""

import asyncio
from typing import Final, Literal

from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct
from sqlalchemy import text

from .kernel.errors import Code, XinyiError
from .storage.cache import Cache
from .storage.database import Database
from .web.envelope import Envelope
from .web.problem import problems


class Health(Struct, frozen=True):
    """The state of one process."""

    status: Literal["ok"] = "ok"


@get("/health/live", tags=["Operation"], operation_id="getLiveness", summary="Whether the process runs")
async def live() -> Envelope[Health]:
    """Answers as long as the process runs, whatever the state of the database."""
    return Envelope(Health())


@get(
    "/health/ready",
    tags=["Operation"],
    operation_id="getReadiness",
    summary="Whether requests can be answered",
    responses=problems(Code.UNAVAILABLE),
)
async def ready(database: NamedDependency[Database], cache: NamedDependency[Cache]) -> Envelope[Health]:
    """Answers once the database and the memory store can be reached; otherwise 503 with `unavailable` and the reason.

    Either way it answers within about a second, however long others wait.
    """
    await cache.get("ready")
    try:
        async with asyncio.timeout(_WITHIN), database.read() as tx:
            await tx.execute(text("SELECT 1"))
    except TimeoutError as error:
        raise XinyiError(Code.UNAVAILABLE, "the database doesn't answer, or is busy", retry_after=1) from error
    return Envelope(Health())


_WITHIN: Final = 0.7
