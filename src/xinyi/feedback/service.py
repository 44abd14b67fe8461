"""Taking feedback on a partner's own checks."""

from sqlalchemy.ext.asyncio import AsyncConnection

from ..checks import repo as checks_repo
from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id
from ..storage.database import Database
from ..storage.kept import AT_ONCE
from . import repo
from .model import Feedback, StoredFeedback


class FeedbackService:
    """One feedback a check, which its partner may change. Whether the consent still holds makes no difference."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def give(
        self, check_id: str, feedback: Feedback, *, partner_id: str, bound_consent_id: str | None
    ) -> StoredFeedback:
        """Says what came of a check. Raises ``XinyiError``: NOT_FOUND; WRONG_STATE for a check that was refused."""
        async with self._database.transaction() as tx:
            if await self._refused(tx, check_id, partner_id, bound_consent_id):
                raise XinyiError(Code.WRONG_STATE, "the check was refused: nothing can have come of it")
            await repo.store(tx, partner_id, check_id, feedback, whole_seconds(self._clock.now()))
            stored = await repo.find(tx, partner_id, check_id)
            assert stored is not None
            return stored

    async def find(self, check_id: str, *, partner_id: str, bound_consent_id: str | None) -> StoredFeedback:
        """What was said. Raises ``XinyiError(NOT_FOUND)``, also for a check of which nothing was said."""
        async with self._database.read() as tx:
            await self._refused(tx, check_id, partner_id, bound_consent_id)
            stored = await repo.find(tx, partner_id, check_id)
        if stored is None:
            raise XinyiError(Code.NOT_FOUND)
        return stored

    async def sweep(self) -> int:
        """Removes the feedback on checks that are kept no more, a part at a time; gives how many that were.

        Run it as the owner of the tables.
        """
        removed, some = 0, AT_ONCE
        while some == AT_ONCE:
            async with self._database.transaction() as tx:
                some = await repo.remove_orphans(tx, AT_ONCE)
            removed += some
        return removed

    async def _refused(self, tx: AsyncConnection, check_id: str, partner_id: str, bound_consent_id: str | None) -> bool:
        """Whether the partner's own check was refused. Raises ``XinyiError(NOT_FOUND)``."""
        if not is_id("chk", check_id):
            raise XinyiError(Code.NOT_FOUND)
        check = (await checks_repo.find(tx, [check_id])).get(check_id)
        if check is None or check.partner_id != partner_id or bound_consent_id not in {None, check.consent_id}:
            raise XinyiError(Code.NOT_FOUND)
        return check.refusal is not None
