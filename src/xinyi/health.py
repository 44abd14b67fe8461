"""Whether the program is alive, and whether it can do its work."""

from typing import Literal

from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct
from sqlalchemy import text

from .kernel.errors import Code
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
async def ready(database: NamedDependency[Database]) -> Envelope[Health]:
    """Answers once the database can be reached; otherwise 503 with `unavailable`."""
    async with database.read() as tx:
        await tx.execute(text("SELECT 1"))
    return Envelope(Health())
