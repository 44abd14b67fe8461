"""Asking subjects for their consent, and what became of it."""

from .._operations import consents as operations
from ..models.consents import Consent, ConsentRequest, Subject
from .base import Resource


class Consents(Resource):
    """Asking subjects for their consent."""

    def start(
        self,
        *,
        scenario: str,
        redirect_uri: str,
        subject: Subject | str | None = None,
        state: str | None = None,
    ) -> ConsentRequest:
        """Prepares a consent: send the subject to the ``url`` of what you get, and keep it for :meth:`finish`.

        ``subject`` names who may give the consent, if you know the identifier already; anybody else who signs in is
        refused. ``state`` is made for you.
        """
        return self._driver.run(operations.start_consent(self._engine, scenario, redirect_uri, subject, state))

    def finish(self, callback_url: str, request: ConsentRequest) -> Consent:
        """Turns the callback into the consent; works once for each callback.

        Raises ``ConsentRefused`` when the subject didn't agree, ``CallbackInvalid`` when this isn't the answer to
        ``request``, and ``ConnectionFailed`` when it is unknown what happened: then start anew.
        """
        return self._driver.run(operations.finish_consent(self._engine, callback_url, request))

    def get(self, consent_id: str) -> Consent:
        """The consent and its present state. Raises ``NotFound``."""
        return self._driver.run(operations.get_consent(self._engine, consent_id))

    def withdraw(self, consent_id: str) -> Consent:
        """Gives the consent up, at once and for good; receipts of earlier checks stay valid. Raises ``NotFound``."""
        return self._driver.run(operations.withdraw_consent(self._engine, consent_id))
