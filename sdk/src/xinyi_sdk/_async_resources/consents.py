# Written by tools/sdk_async.py from _resources/consents.py: edit that, then run 'make sdk-async'.
"""Asking subjects for their consent, and what became of it."""

from collections.abc import AsyncIterator

from .._operations import consents as operations
from ..models.consents import Consent, ConsentCopy, ConsentLink, ConsentRequest, Extension, Reminder, Subject
from .base import Resource


class AsyncConsents(Resource):
    """Asking subjects for their consent."""

    async def start(
        self,
        *,
        scenario: str,
        redirect_uri: str,
        subject: Subject | str | None = None,
        version: int | None = None,
        sub_party: str | None = None,
        state: str | None = None,
    ) -> ConsentRequest:
        """Prepares a consent: send the subject to the ``url`` of what you get, and keep it for :meth:`finish`.

        ``subject`` names who may give the consent, if you know the identifier already; anybody else who signs in is
        refused. ``version`` is the scenario's, the current one if left out. ``sub_party`` is the id of your
        branch or merchant that asks: people see its name. ``state`` is made for you.
        """
        return await self._driver.run(
            operations.start_consent(self._engine, scenario, redirect_uri, subject, version, sub_party, state)
        )

    async def finish(self, callback_url: str, request: ConsentRequest) -> Consent:
        """Turns the callback into the consent; works once for each callback.

        Raises ``ConsentRefused`` when the subject didn't agree, ``CallbackInvalid`` when this isn't the answer to
        ``request``, and ``ConnectionFailed`` when it is unknown what happened: then start anew.
        """
        return await self._driver.run(operations.finish_consent(self._engine, callback_url, request))

    async def get(self, consent_id: str) -> Consent:
        """The consent and its present state. Raises ``NotFound``."""
        return await self._driver.run(operations.get_consent(self._engine, consent_id))

    async def withdraw(self, consent_id: str) -> Consent:
        """Gives the consent up, at once and for good; receipts of earlier checks stay valid. Raises ``NotFound``."""
        return await self._driver.run(operations.withdraw_consent(self._engine, consent_id))

    async def ask(
        self,
        *,
        scenario: str,
        subject: Subject | str,
        version: int | None = None,
        sub_party: str | None = None,
        idempotency_key: str | None = None,
    ) -> ConsentLink:
        """Asks a subject for a consent outside a redirect: at a counter, by letter, in a message.

        ``sub_party`` is the id of your branch or merchant that asks, if one does.
        Show the QR code or send the link of what you get, then :meth:`wait`. Raises ``CoolingDown`` for a while after
        the subject refused the same, ``WrongState`` while an ask waits, and ``NotEntitled``.
        """
        return await self._driver.run(
            operations.ask(self._engine, scenario, subject, version, sub_party, idempotency_key)
        )

    async def wait(self, consent_id: str) -> Consent:
        """Waits until the subject has decided, or the time to do so is over: an hour at most. Raises ``NotFound``."""
        return await self._driver.run(operations.wait(self._engine, consent_id))

    def list(
        self, *, state: str | None = None, scenario: str | None = None, sub_party: str | None = None
    ) -> AsyncIterator[Consent]:
        """Your consents, newest first: all of them, those in a state now, to a scenario, or to a branch of yours."""
        filters = {"state": state, "scenario": scenario, "sub_party": sub_party}
        return self._driver.iterate(lambda cursor: operations.list_consents(self._engine, filters, cursor))

    async def copy(self, consent_id: str) -> ConsentCopy:
        """The signed copy of a written consent, to archive. Raises ``NotFound``, also when it isn't written."""
        return await self._driver.run(operations.copy(self._engine, consent_id))

    async def extend(self, consent_id: str, *, days: int | None = None) -> Extension:
        """Asks the subject for more time, who decides within a week and while the consent lasts. It keeps its id.

        Raises ``WrongState``, ``CoolingDown``, ``ConsentOutdated`` or ``NotFound``.
        """
        return await self._driver.run(operations.extend(self._engine, consent_id, days))

    async def extensions(self, consent_id: str) -> tuple[Extension, ...]:
        """What more time was asked for, and what became of it, newest first. Raises ``NotFound``."""
        return await self._driver.run(operations.extensions(self._engine, consent_id))

    async def remind(self, consent_id: str) -> Reminder:
        """Shows the subject once more what waits for their answer.

        Raises ``CoolingDown`` when it is too early, ``WrongState`` when nothing waits, or ``NotFound``.
        """
        return await self._driver.run(operations.remind(self._engine, consent_id))
