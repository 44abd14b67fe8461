"""Write the next step of the schema's history: ``python -m tools.migration WORDS…`` after the tables have changed.

Read what it wrote before you commit it: it can't tell a renamed column from one dropped and one added.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.operations import ops
from sqlalchemy import Connection

import xinyi.wiring  # noqa: F401 (the rooms' tables join the metadata)
from xinyi.storage.database import Database
from xinyi.storage.migrate import MIGRATIONS, migrate, revisions


async def main(message: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'empty.sqlite3'}")
        if revisions():
            await migrate(database)
        async with database.transaction() as tx:
            await tx.run_sync(_write, message)
        await database.close()


def _write(connection: Connection, message: str) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    known = revisions()
    revision = f"{int(known[-1]) + 1 if known else 1:04}"
    command.revision(config, message, autogenerate=True, rev_id=revision, process_revision_directives=_without_notes)


def _without_notes(_context: object, _revision: object, directives: list[ops.MigrationScript]) -> None:
    """What is noted beside a table (its rights) is no part of the schema."""
    for script in directives:
        for step in script.upgrade_ops.ops if script.upgrade_ops else ():
            if isinstance(step, ops.CreateTableOp):
                step.info = {}


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or sys.exit(__doc__)))
