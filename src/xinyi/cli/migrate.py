"""``xinyi migrate``: bring the database's schema up to date."""

import asyncio

import click

from ..storage import migrate as schema
from ..storage.database import Database
from ..storage.installation import require_environment
from ..storage.rights import NoSuchRole, grant
from .context import current_settings, known_errors
from .words import both, say


@click.command()
@click.option(
    "--app-role",
    metavar="NAME",
    help="Give this PostgreSQL role, which the server connects as, exactly the rights that it needs.",
)
def migrate(app_role: str | None) -> None:
    """Make the tables, or bring them up to date: all steps or none. To run it again changes nothing.

    On PostgreSQL run it as the role that shall own the tables; the server runs as another, named with --app-role, that
    can't rewrite the ledger.
    """
    settings = current_settings()

    async def work() -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = Database(settings.effective_database_url)
        try:
            taken = await schema.migrate(database)
            for revision in taken:
                say(f"已完成步骤 {revision}", f"step {revision}: done")
            if not taken:
                say("数据库已是最新", "the database is up to date")
            await require_environment(database, settings.environment)
            if app_role is not None:
                await grant(database, app_role)
                say(f"已授予角色 {app_role} 所需权限", f"role {app_role}: granted")
        finally:
            await database.close()

    try:
        with known_errors():
            asyncio.run(work())
    except NoSuchRole as error:
        raise click.ClickException(both("角色有误", str(error))) from error
