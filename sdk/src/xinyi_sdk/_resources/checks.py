"""Checks of one subject against one scenario under one consent."""

from collections.abc import Iterator
from datetime import datetime

from .._operations import checks as operations
from ..models.checks import Answer, CheckSummary, Feedback
from ..receipts import Receipt
from .base import Resource


class Checks(Resource):
    """Checks of one subject against one scenario under one consent."""

    def create(self, *, scenario: str, consent_id: str, reference: str, idempotency_key: str | None = None) -> Answer:
        """Asks whether the scenario's published criteria are met.

        ``reference`` is your own case number and ties this use of the consent to a case. The idempotency key is made
        for you and kept across the retries; give one only to make a call repeatable after your own crash.

        Raises a ``ConsentError`` when the consent doesn't carry the check, ``ScenarioMismatch``, ``NotEntitled``,
        ``PartnerSuspended``, ``NotFound`` (unknown consent), ``RateLimited``, ``Unavailable`` or ``ConnectionFailed``.
        """
        return self._driver.run(operations.create_check(self._engine, scenario, consent_id, reference, idempotency_key))

    def get(self, check_id: str) -> Answer:
        """The answer of an earlier check. Raises ``NotFound``, or a ``ConsentError`` after a withdrawal."""
        return self._driver.run(operations.get_check(self._engine, check_id))

    def receipt(self, check_id: str) -> Receipt:
        """The receipt of an earlier check. Raises ``NotFound``, or a ``ConsentError`` after a withdrawal."""
        return self._driver.run(operations.get_receipt(self._engine, check_id))

    def list(
        self,
        *,
        scenario: str | None = None,
        consent_id: str | None = None,
        reference: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[CheckSummary]:
        """Your checks, refused ones included, the newest first; those that fit what is given."""
        filters = {"scenario": scenario, "consent_id": consent_id, "reference": reference}
        return self._driver.iterate(lambda cursor: operations.list_checks(self._engine, filters, since, until, cursor))

    def give_feedback(self, check_id: str, *, result: str, benefit_band: str | None = None) -> Feedback:
        """Says what came of a check: the incentive was ``offered``, ``granted`` or ``not_used``, worth about so much.

        Said again it changes nothing; another feedback takes its place. Raises ``NotFound`` or ``WrongState``.
        """
        return self._driver.run(operations.give_feedback(self._engine, check_id, result, benefit_band))

    def feedback(self, check_id: str) -> Feedback:
        """What you said of a check. Raises ``NotFound``."""
        return self._driver.run(operations.get_feedback(self._engine, check_id))
