# Written by tools/sdk_async.py from client.py: edit that, then run 'make sdk-async'.
"""The awaiting client."""

from collections.abc import Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ._async_resources.batches import AsyncBatches
from ._async_resources.checks import AsyncChecks
from ._async_resources.consents import AsyncConsents
from ._async_resources.events import AsyncEvents, AsyncEventSubscriptions
from ._async_resources.ledger import AsyncLedger
from ._async_resources.metadata import AsyncMetadata
from ._async_resources.partner import AsyncPartner
from ._async_resources.records import AsyncDisputes, AsyncRecords
from ._async_resources.scenarios import AsyncScenarios
from ._engine import Engine
from ._keys import PrivateKey
from ._operations import requests as operations
from ._settings import MAX_RETRIES, TIMEOUT, config_from, retries
from .observe import Observer, RawResponse

if TYPE_CHECKING:
    from ._http import AsyncDriver, AsyncHttpClient

__all__ = ["AsyncXinyi"]


class AsyncXinyi:
    """A client of one platform for one partner. Make one and share it between its loop's tasks; it survives a fork.

    ``base_url``, ``client_id`` and ``private_key`` are taken from ``XINYI_SDK_BASE_URL``, ``XINYI_SDK_CLIENT_ID`` and
    ``XINYI_SDK_PRIVATE_KEY_FILE`` or ``XINYI_SDK_PRIVATE_KEY`` when they aren't given. The key is a path, PEM, a JWK,
    or a callable that returns one of them. ``scopes`` narrows what the client may do; without it, all it was given.
    ``timeout`` is in seconds. ``max_retries`` counts the tries after the first one; 0 turns them off. ``http_client``
    is your own httpx client (proxies, certificates, transports), which you close yourself, and which doesn't survive a
    fork. ``on_event`` is told what happens on the wire: see ``xinyi_sdk.observe``.

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
        http_client: "AsyncHttpClient | None" = None,
        on_event: Observer | None = None,
    ) -> None:
        from ._http import AsyncDriver

        config = config_from(base_url, client_id, private_key, scopes, max_retries, on_event)
        self._use(Engine(config), AsyncDriver(http_client, timeout))

    def _use(self, engine: Engine, driver: "AsyncDriver") -> None:
        self._engine: Engine = engine
        self._driver: AsyncDriver = driver
        self.scenarios: AsyncScenarios = AsyncScenarios(engine, driver)
        self.consents: AsyncConsents = AsyncConsents(engine, driver)
        self.checks: AsyncChecks = AsyncChecks(engine, driver)
        self.batches: AsyncBatches = AsyncBatches(engine, driver)
        self.events: AsyncEvents = AsyncEvents(engine, driver)
        self.event_subscriptions: AsyncEventSubscriptions = AsyncEventSubscriptions(engine, driver)
        self.records: AsyncRecords = AsyncRecords(engine, driver)
        self.disputes: AsyncDisputes = AsyncDisputes(engine, driver)
        self.partner: AsyncPartner = AsyncPartner(engine, driver)
        self.ledger: AsyncLedger = AsyncLedger(engine, driver)
        self.metadata: AsyncMetadata = AsyncMetadata(engine, driver)

    def with_options(
        self, *, timeout: float | None = None, max_retries: int | None = None, on_event: Observer | None = None
    ) -> Self:
        """The same client with other options: it shares the connections, which only the first one closes."""
        config = self._engine.config
        engine = self._engine.with_config(
            max_retries=config.max_retries if max_retries is None else retries(max_retries),
            on_event=config.on_event if on_event is None else on_event,
        )
        other = copy(self)
        other._use(engine, self._driver.with_timeout(timeout))
        return other

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
        idempotency_key: str | None = None,
    ) -> RawResponse:
        """Any call of the API, signed and tried again as the others are: for what this version has no name for.

        Gives a success as it came. Raises as the others do, and ``ValueError`` for a path that isn't the platform's.
        """
        return await self._driver.run(operations.request(self._engine, method, path, json, query, idempotency_key))

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
