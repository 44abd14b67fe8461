"""How long things are kept, where that isn't the matter of one room alone."""

from datetime import datetime, timedelta
from typing import Final

from ..kernel.ids import first_id

AUDIT_KEPT: Final = timedelta(days=5 * 366)
"""How long it is kept who asked and who supplied: at least five years (``docs/reference/law.md``, L14)."""
GRACE: Final = timedelta(hours=1)
"""What is removed part by part has been out of reach for so long: who read it, or added to it, has ended."""
AT_ONCE: Final = 2000
"""Rows that one transaction removes: calls wait for it as well."""


def id_after(prefix: str, moment: datetime) -> str:
    """An id beyond those of all that was made by this moment, also where its time is stored without the fraction.

    Times of rows have no index. Beside the exact condition this bounds what is read for it, by the primary key.
    """
    return first_id(prefix, moment + timedelta(seconds=1))
