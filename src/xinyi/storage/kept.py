"""How long things are kept, where that isn't the matter of one room alone."""

from datetime import timedelta
from typing import Final

AUDIT_KEPT: Final = timedelta(days=5 * 366)
"""How long it is kept who asked and who supplied: at least five years (``docs/reference/law.md``, L14)."""
GRACE: Final = timedelta(hours=1)
"""What is removed part by part has been out of reach for so long: who read it, or added to it, has ended."""
AT_ONCE: Final = 2000
"""Rows that one transaction removes: calls wait for it as well."""
