"""A history of what many callers did at once, and whether one order explains it.

Each operation has a start and an end on one observer's clock, and takes effect at some moment between the two. What is
open (a consent, a partner) is closed and opened again by other operations. An answer must fit a moment within its own
span at which everything was open; a refusal, one at which that very thing was closed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct


class Kind(StrEnum):
    ASK = "ask"
    """A check, or an earlier answer that is asked for again."""
    WITHDRAW = "withdraw"
    PAUSE = "pause"
    RESUME = "resume"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"


class Operation(Struct, frozen=True, kw_only=True):
    """One operation that was acknowledged, on a consent or on a partner."""

    kind: Kind
    on: tuple[str, ...]
    """The consent and its partner for ``ASK``, otherwise the one that is closed or opened."""
    start: int
    end: int
    result: str = ""
    """For ``ASK``: the check's id when it was answered with data, else the code of the refusal."""
    first: int | None = None
    """For ``ASK`` with an idempotency key: when that was first used. A refusal may be the one of then."""

    @property
    def answered(self) -> bool:
        return self.result.startswith("chk_")


CLOSED_BY: Final = {
    "consent_withdrawn": (Kind.WITHDRAW, None),
    "consent_paused": (Kind.PAUSE, Kind.RESUME),
    "partner_suspended": (Kind.SUSPEND, Kind.REINSTATE),
}
"""For each refusal what closes, and what opens again."""


def violations(history: Iterable[Operation], *, once: Iterable[str] = ()) -> list[str]:
    """What no order of the operations explains; empty when one does. ``once``: the consents that carry one check."""
    operations = sorted(history, key=lambda operation: operation.start)
    changes: defaultdict[tuple[Kind, str], list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.kind is not Kind.ASK:
            changes[operation.kind, operation.on[0]].append(operation)
    asks = [operation for operation in operations if operation.kind is Kind.ASK]
    found = [complaint for ask in asks for complaint in _unexplained(ask, changes)]
    for consent in once:
        found += _not_once(consent, [ask for ask in asks if ask.on[0] == consent])
    return found


def _unexplained(ask: Operation, changes: dict[tuple[Kind, str], list[Operation]]) -> Iterator[str]:
    for code, (close, open_) in CLOSED_BY.items():
        closings = [change for on in ask.on for change in changes.get((close, on), ())]
        openings = [change for on in ask.on for change in changes.get((open_, on), ())] if open_ else []
        if ask.answered and _surely_closed(ask, closings, openings):
            yield f"answered after {close}: {ask}"
        if ask.result == code and not _perhaps_closed(ask, closings, openings):
            yield f"refused without {close}: {ask}"
    if not ask.answered and ask.result not in {*CLOSED_BY, "consent_consumed"}:
        yield f"neither answered nor refused: {ask}"


def _surely_closed(ask: Operation, closings: Sequence[Operation], openings: Sequence[Operation]) -> bool:
    """Whether one closing ended before the ask began, and nothing can have opened it again in between."""
    return any(
        closing.end < ask.start
        and not any(opening.end > closing.start and opening.start < ask.end for opening in openings)
        for closing in closings
    )


def _perhaps_closed(ask: Operation, closings: Sequence[Operation], openings: Sequence[Operation]) -> bool:
    """Whether one closing may have come before the end of the ask, and no opening surely came after it and before."""
    start = ask.start if ask.first is None else ask.first
    return any(
        closing.start < ask.end and not any(opening.start > closing.end and opening.end < start for opening in openings)
        for closing in closings
    )


def _not_once(consent: str, asks: Sequence[Operation]) -> Iterator[str]:
    """A consent for one check gives one, and is used up only by giving it."""
    given = {ask.result for ask in asks if ask.answered}
    if len(given) > 1:
        yield f"answered {len(given)} checks under {consent}, which carries one"
    first = min((ask.start for ask in asks if ask.answered), default=None)
    for ask in asks:
        if ask.result == "consent_consumed" and (first is None or first > ask.end):
            yield f"used up before it gave an answer: {ask}"
