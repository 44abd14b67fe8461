"""Which environment a database belongs to: noted at the first start, and held to ever after.

What a sandbox holds is made up, and what production holds is not: neither may ever be taken for the other.
"""

from sqlalchemy import CheckConstraint, Column, SmallInteger, String, Table, select

from ..settings import Environment
from .database import Database
from .rights import APPEND_ONLY
from .sql import insert_ignoring
from .types import metadata

installation = Table(
    "installation",
    metadata,
    Column("slot", SmallInteger, primary_key=True, autoincrement=False),
    Column("environment", String(16), nullable=False),
    CheckConstraint("slot = 1", name="single"),
    info=APPEND_ONLY,
)
"""One row."""


class OtherEnvironment(Exception):
    """The database belongs to another environment. ``str()`` says which."""


async def require_environment(database: Database, environment: Environment) -> None:
    """Notes whose the database is, unless that was noted; raises :class:`OtherEnvironment` when it is another's."""
    found = await _noted(database)
    if found is None:
        async with database.transaction() as tx:
            first = insert_ignoring(tx, installation, ["slot"])
            await tx.execute(first.values(slot=1, environment=environment.value))
        found = await _noted(database)
    if found != environment.value:
        raise OtherEnvironment(f"the database was made for {found}, and this installation is {environment.value}")


async def _noted(database: Database) -> str | None:
    async with database.read() as tx:
        found: str | None = (await tx.execute(select(installation.c.environment))).scalar_one_or_none()
        return found
