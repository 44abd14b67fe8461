"""The awaiting client."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import _operations as operations
from ._engine import Engine
from ._http import AsyncDriver, AsyncHttpClient
from ._keys import PrivateKey
from ._settings import MAX_RETRIES, TIMEOUT, config_from
from .models import (
    Answer,
    Batch,
    BatchItem,
    Consent,
    ConsentRequest,
    Question,
    RecordBatch,
    RecordError,
    Scenario,
    ScenarioSummary,
    Subject,
)
from .receipts import Receipt

__all__ = [
    "AsyncBatches",
    "AsyncChecks",
    "AsyncConsents",
    "AsyncLedger",
    "AsyncRecords",
    "AsyncScenarios",
    "AsyncXinyi",
]


class _Resource:
    def __init__(self, engine: Engine, driver: AsyncDriver) -> None:
        self._engine = engine
        self._driver = driver


class AsyncScenarios(_Resource):
    """The published scenarios. Public: needs no consent and no token."""

    async def list(self) -> tuple[ScenarioSummary, ...]:
        """All scenarios in their current version."""
        return await self._driver.run(operations.list_scenarios(self._engine))

    async def get(self, scenario_id: str, *, version: int | None = None) -> Scenario:
        """One scenario, in its current version or in one that a receipt names. Raises ``NotFound``."""
        return await self._driver.run(operations.get_scenario(self._engine, scenario_id, version))


class AsyncChecks(_Resource):
    """Checks of one subject against one scenario under one consent."""

    async def create(
        self, *, scenario: str, consent_id: str, reference: str, idempotency_key: str | None = None
    ) -> Answer:
        """Asks whether the scenario's published criteria are met.

        ``reference`` is your own case number and ties this use of the consent to a case. The idempotency key is made
        for you and kept across the retries; give one only to make a call repeatable after your own crash.

        Raises a ``ConsentError`` when the consent doesn't carry the check, ``ScenarioMismatch``, ``NotEntitled``,
        ``PartnerSuspended``, ``NotFound`` (unknown consent), ``RateLimited``, ``Unavailable`` or ``ConnectionFailed``.
        """
        return await self._driver.run(
            operations.create_check(self._engine, scenario, consent_id, reference, idempotency_key)
        )

    async def get(self, check_id: str) -> Answer:
        """The answer of an earlier check. Raises ``NotFound``, or a ``ConsentError`` after a withdrawal."""
        return await self._driver.run(operations.get_check(self._engine, check_id))

    async def receipt(self, check_id: str) -> Receipt:
        """The receipt of an earlier check. Raises ``NotFound``, or a ``ConsentError`` after a withdrawal."""
        return await self._driver.run(operations.get_receipt(self._engine, check_id))


class AsyncBatches(_Resource):
    """Many checks as one job."""

    async def submit(
        self,
        *,
        items: Iterable[Question] | None = None,
        file: str | Path | None = None,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Sends up to 100,000 questions, given as ``items`` or as a ``file`` of NDJSON, CSV or JSON.

        They are answered in the background, each as ``checks.create`` would be at that moment, and each once. A batch
        is taken in whole or not at all: ``InvalidRequest`` names the items that can't be in ``problem["errors"]``.
        The idempotency key is made for you and kept across the retries; give one only to make a call repeatable after
        your own crash.
        """
        return await self._driver.run(operations.submit_batch(self._engine, items, file, idempotency_key))

    async def get(self, batch_id: str) -> Batch:
        """How far a batch is. Raises ``NotFound``."""
        return await self._driver.run(operations.get_batch(self._engine, batch_id))

    async def wait(self, batch_id: str, *, progress: Callable[[Batch], object] | None = None) -> Batch:
        """Waits until a batch is finished. ``progress`` is called with each look at it. Raises ``NotFound``."""
        return await self._driver.run(operations.wait_for_batch(self._engine, batch_id, progress))

    async def items(self, batch_id: str, *, after: int = 0) -> AsyncIterator[BatchItem]:
        """The items that are done by now, in their order, from the one behind number ``after``.

        An item whose consent was withdrawn since comes with the error, whatever was answered before. Raises
        ``NotFound``.
        """
        while True:
            page = await self._driver.run(operations.batch_items(self._engine, batch_id, after))
            for item in page.items:
                yield item
            if page.last or not page.items:
                return
            after = page.items[-1].number

    async def follow(self, batch_id: str, *, after: int = 0) -> AsyncIterator[BatchItem]:
        """As :meth:`items`, and then those that are done later, to the end of the batch.

        After an interruption, ``after`` goes on behind the last number that you have.
        """
        while True:
            page = await self._driver.run(operations.following_items(self._engine, batch_id, after))
            for item in page.items:
                yield item
            if page.last:
                return
            after = page.items[-1].number


class AsyncConsents(_Resource):
    """Asking subjects for their consent."""

    async def start(
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
        return await self._driver.run(operations.start_consent(self._engine, scenario, redirect_uri, subject, state))

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


class AsyncRecords(_Resource):
    """Records, for those who supply them."""

    async def send(self, file: str | Path, *, idempotency_key: str | None = None) -> RecordBatch:
        """Sends a file of rows, NDJSON or CSV, as a source's client; answers when the last row is settled.

        Rows that are rejected stop no others: :meth:`errors` says why. The same file under the same idempotency key
        goes on where an upload was interrupted; the key is made for you, and kept across the retries. Give the client
        a ``timeout`` that fits the size of your files. Raises ``InvalidRequest`` for a CSV header that no row fits.
        """
        return await self._driver.run(operations.send_records(self._engine, file, idempotency_key))

    async def errors(self, batch_id: str) -> AsyncIterator[RecordError]:
        """The rejected rows of an upload, in the order of their lines. Raises ``NotFound``."""
        cursor: str | None = "0"
        while cursor is not None:
            page = await self._driver.run(operations.record_errors(self._engine, batch_id, cursor))
            for error in page.errors:
                yield error
            cursor = page.next


class AsyncLedger(_Resource):
    """The platform's transparency log."""

    async def jwks(self, *, refresh: bool = False) -> dict[str, Any]:
        """The log's public keys, for verifying receipts offline: keep a copy with the receipts.

        Fetched once and then kept by the client; ``refresh`` fetches anew.
        """
        return await self._driver.run(operations.ledger_jwks(self._engine, refresh))


class AsyncXinyi:
    """A client of one platform for one partner. Make one and share it between the tasks of one event loop.

    ``base_url``, ``client_id`` and ``private_key`` are taken from ``XINYI_SDK_BASE_URL``, ``XINYI_SDK_CLIENT_ID`` and
    ``XINYI_SDK_PRIVATE_KEY_FILE`` or ``XINYI_SDK_PRIVATE_KEY`` when they aren't given. The key is a path, PEM, a JWK,
    or a callable that returns one of them. ``scopes`` narrows what the client may do; without it, all it was given.
    ``timeout`` is in seconds. ``max_retries`` counts the tries after the first one; 0 turns them off. ``http_client``
    is your own httpx client (proxies, certificates, transports), which you close yourself.

    Raises ``ConfigurationError``.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        client_id: str | None = None,
        private_key: PrivateKey | None = None,
        scopes: Sequence[str] | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = MAX_RETRIES,
        http_client: AsyncHttpClient | None = None,
    ) -> None:
        engine = Engine(config_from(base_url, client_id, private_key, scopes, max_retries))
        driver = AsyncDriver(http_client, timeout)
        self._engine = engine
        self._driver = driver
        self.scenarios = AsyncScenarios(engine, driver)
        self.checks = AsyncChecks(engine, driver)
        self.batches = AsyncBatches(engine, driver)
        self.consents = AsyncConsents(engine, driver)
        self.records = AsyncRecords(engine, driver)
        self.ledger = AsyncLedger(engine, driver)

    async def close(self) -> None:
        """Closes the connections."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        config = self._engine.config
        return f"AsyncXinyi(base_url={config.issuer!r}, client_id={config.client_id!r})"
