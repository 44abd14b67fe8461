"""The judge of histories: it passes what one order explains, and finds whatever is planted."""

import pytest

from tests.support.history import Kind, Operation, violations

ONCE = "once"


def ask(start: int, end: int, result: str = "chk_1", consent: str = "consent", first: int | None = None) -> Operation:
    return Operation(kind=Kind.ASK, on=(consent, "partner"), start=start, end=end, result=result, first=first)


def change(kind: Kind, start: int, end: int) -> Operation:
    on = "partner" if kind in {Kind.SUSPEND, Kind.REINSTATE} else "consent"
    return Operation(kind=kind, on=(on,), start=start, end=end)


EXPLAINED = {
    "an answer before": [ask(1, 2), change(Kind.WITHDRAW, 3, 4)],
    "an answer that began before the withdrawal had returned": [change(Kind.WITHDRAW, 1, 4), ask(3, 9)],
    "a refusal after": [change(Kind.WITHDRAW, 1, 2), ask(3, 4, "consent_withdrawn")],
    "a refusal while it is withdrawn": [ask(1, 4, "consent_withdrawn"), change(Kind.WITHDRAW, 2, 6)],
    "an answer while it is resumed": [change(Kind.PAUSE, 1, 2), change(Kind.RESUME, 4, 6), ask(3, 5)],
    "a refusal until it is resumed": [
        change(Kind.PAUSE, 1, 2),
        change(Kind.RESUME, 3, 6),
        ask(4, 5, "consent_paused"),
        ask(7, 8),
    ],
    "a refusal that was given before": [
        change(Kind.PAUSE, 1, 2),
        ask(3, 4, "consent_paused"),
        change(Kind.RESUME, 5, 6),
        ask(7, 8, "consent_paused", first=3),
    ],
    "a suspension and its end": [
        ask(1, 2),
        change(Kind.SUSPEND, 3, 4),
        ask(5, 6, "partner_suspended"),
        change(Kind.REINSTATE, 7, 8),
        ask(9, 10),
    ],
    "one use, seen twice": [
        ask(1, 5, "chk_1", ONCE),
        ask(2, 4, "consent_consumed", ONCE),
        ask(6, 7, "chk_1", ONCE),
    ],
}
UNEXPLAINED = {
    "an answer after a withdrawal": [change(Kind.WITHDRAW, 1, 2), ask(3, 4)],
    "an answer while it is paused": [change(Kind.PAUSE, 1, 2), ask(3, 4), change(Kind.RESUME, 5, 6)],
    "an answer when it was paused again": [
        change(Kind.PAUSE, 1, 2),
        change(Kind.RESUME, 3, 4),
        change(Kind.PAUSE, 5, 6),
        ask(7, 8),
    ],
    "an answer that was given before": [ask(1, 2), change(Kind.WITHDRAW, 3, 4), ask(5, 6, first=1)],
    "an answer under a suspension": [change(Kind.SUSPEND, 1, 2), ask(3, 4), change(Kind.REINSTATE, 5, 6)],
    "a refusal of what nobody withdrew": [ask(1, 2, "consent_withdrawn")],
    "a refusal before the withdrawal": [ask(1, 2, "consent_withdrawn"), change(Kind.WITHDRAW, 3, 4)],
    "a refusal after it was resumed": [
        change(Kind.PAUSE, 1, 2),
        change(Kind.RESUME, 3, 4),
        ask(5, 6, "consent_paused"),
    ],
    "two uses of one": [ask(1, 2, "chk_1", ONCE), ask(1, 2, "chk_2", ONCE)],
    "a use that gave nothing": [ask(1, 2, "consent_consumed", ONCE)],
    "a use that came later": [ask(1, 2, "consent_consumed", ONCE), ask(3, 4, "chk_1", ONCE)],
    "an error": [ask(1, 2, "internal")],
}


@pytest.mark.parametrize("history", EXPLAINED.values(), ids=EXPLAINED)
def test_what_one_order_explains_passes(history: list[Operation]):
    assert violations(history, once=[ONCE]) == []


@pytest.mark.parametrize("history", UNEXPLAINED.values(), ids=UNEXPLAINED)
def test_what_no_order_explains_is_found(history: list[Operation]):
    assert len(violations(history, once=[ONCE])) == 1
