"""A consent's state follows from its times alone, and changes at the very instant that they name."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from xinyi.consents.model import (
    ANSWER_WITHIN,
    Consent,
    ConsentState,
    EndReason,
    Party,
    end,
    refusal,
    spend,
    state,
)
from xinyi.kernel.errors import Code
from xinyi.scenarios.model import ConsentForm, Uses

T0 = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
TERM = timedelta(days=90)

ASKED = Consent(
    id="cns_test",
    partner_id="prt_a",
    client_id="cli_a",
    scenario_id="bike-deposit",
    scenario_version=1,
    scenario_digest="sha-256:x",
    units=(),
    form=ConsentForm.SEPARATE,
    uses=Uses.RECURRING,
    created_at=T0,
    request_expires_at=T0 + ANSWER_WITHIN,
)
GIVEN = replace(ASKED, subject_id="sub_a", authorised_at=T0, expires_at=T0 + TERM)
ONCE = replace(GIVEN, uses=Uses.ONCE)
PAUSED = replace(GIVEN, paused_at=T0)
WITHDRAWN = replace(
    GIVEN,
    ended_at=T0 + timedelta(days=1),
    ended_as=ConsentState.WITHDRAWN,
    ended_by=Party.SUBJECT,
    end_reason=EndReason.WITHDRAWN_BY_SUBJECT,
)
REJECTED = replace(
    ASKED,
    ended_at=T0,
    ended_as=ConsentState.REJECTED,
    ended_by=Party.SUBJECT,
    end_reason=EndReason.REFUSED,
)


@pytest.mark.parametrize(
    ("consent", "after", "expected"),
    [
        (ASKED, timedelta(), ConsentState.AWAITING_AUTHORISATION),
        (ASKED, ANSWER_WITHIN - TICK, ConsentState.AWAITING_AUTHORISATION),
        (ASKED, ANSWER_WITHIN, ConsentState.EXPIRED),
        (GIVEN, ANSWER_WITHIN, ConsentState.AUTHORISED),
        (GIVEN, TERM - TICK, ConsentState.AUTHORISED),
        (GIVEN, TERM, ConsentState.EXPIRED),
        (PAUSED, TERM - TICK, ConsentState.PAUSED),
        (PAUSED, TERM, ConsentState.EXPIRED),
        (WITHDRAWN, timedelta(days=1), ConsentState.WITHDRAWN),
        (WITHDRAWN, TERM, ConsentState.WITHDRAWN),
        (REJECTED, ANSWER_WITHIN, ConsentState.REJECTED),
        (spend(ONCE, T0), TERM, ConsentState.CONSUMED),
    ],
)
def test_the_state_changes_at_the_instant_that_the_times_name(
    consent: Consent, after: timedelta, expected: ConsentState
) -> None:
    assert state(consent, T0 + after) is expected


def test_a_withdrawal_does_not_wait_for_a_clock_that_is_behind() -> None:
    assert WITHDRAWN.ended_at is not None
    assert state(WITHDRAWN, WITHDRAWN.ended_at - timedelta(seconds=5)) is ConsentState.WITHDRAWN


@pytest.mark.parametrize(
    ("consent", "after", "expected"),
    [
        (GIVEN, timedelta(), None),
        (GIVEN, TERM, Code.CONSENT_EXPIRED),
        (PAUSED, timedelta(), Code.CONSENT_PAUSED),
        (WITHDRAWN, timedelta(days=1), Code.CONSENT_WITHDRAWN),
        (spend(ONCE, T0), timedelta(), Code.CONSENT_CONSUMED),
    ],
)
def test_every_state_but_one_refuses_checks_by_its_own_code(
    consent: Consent, after: timedelta, expected: Code | None
) -> None:
    assert refusal(consent, "bike-deposit", T0 + after) is expected


def test_a_consent_carries_checks_of_its_own_scenario_only() -> None:
    assert refusal(GIVEN, "microloan-prescreen", T0) is Code.SCENARIO_MISMATCH


def test_a_once_only_consent_is_used_up_by_its_first_check() -> None:
    used = spend(ONCE, T0)
    assert used.use_count == 1
    assert state(used, T0) is ConsentState.CONSUMED


def test_a_recurring_consent_counts_its_checks_and_goes_on() -> None:
    used = spend(spend(GIVEN, T0), T0)
    assert used.use_count == 2
    assert state(used, T0) is ConsentState.AUTHORISED


@pytest.mark.parametrize(
    ("consent", "by", "reason"),
    [
        (ASKED, Party.TIME, EndReason.UNANSWERED),
        (GIVEN, Party.TIME, EndReason.TERM_REACHED),
        (WITHDRAWN, Party.SUBJECT, EndReason.WITHDRAWN_BY_SUBJECT),
        (REJECTED, Party.SUBJECT, EndReason.REFUSED),
        (spend(ONCE, T0), Party.PARTNER, EndReason.USED_UP),
    ],
)
def test_every_end_says_who_and_why(consent: Consent, by: Party, reason: EndReason) -> None:
    ended = end(consent, T0 + TERM)
    assert ended is not None
    assert (ended.by, ended.reason) == (by, reason)
