"""What an observation does to what is known under its source_ref. Pure.

The newest observation stands, whatever the order in which observations arrive; sending one again changes nothing.
"""

from .checking import Checked
from .journal import Known
from .model import RowProblem, RowRefused, Verdict


def decide(row: Checked, subject_id: str, known: Known | None) -> Verdict:
    """What becomes of ``row``. Raises :class:`RowRefused` when it can't be about the same fact."""
    if known is None:
        return Verdict.ACCEPTED
    if known.subject_id != subject_id:
        raise RowRefused("source_ref", RowProblem.SUBJECT_CHANGED)
    if known.record_type != row.record_type:
        raise RowRefused("record_type", RowProblem.RECORD_TYPE_CHANGED)
    if row.digest == known.digest:
        return Verdict.UNCHANGED
    if row.observed_at < known.observed_at:
        return Verdict.SUPERSEDED
    if row.observed_at == known.observed_at:
        raise RowRefused("observed_at", RowProblem.OBSERVATION_CONFLICT)
    return Verdict.UPDATED
