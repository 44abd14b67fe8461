"""``xinyi retention``: ending what has been kept long enough."""

import click

from ..wiring import Services
from .context import with_services
from .words import say


@click.group()
def retention() -> None:
    """What is kept of answers, and for how long."""


@retention.command()
@with_services
async def sweep(services: Services) -> None:
    """Erase what is due: what answers said, and after five years that they were given. Run it daily.

    Receipts that somebody holds still verify. On PostgreSQL run it as the owner of the tables.
    """
    swept = await services.retention.sweep()
    feedback = await services.feedback.sweep()
    jobs = await services.batches.sweep() + await services.imports.sweep()
    removed = swept.removed + feedback + jobs
    say(
        f"已删除答复内容 {swept.erased} 条，已移除记录 {removed} 行",
        f"answers erased: {swept.erased}, rows removed: {removed}",
    )
