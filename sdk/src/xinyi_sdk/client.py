"""The blocking client."""

from collections.abc import Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ._engine import Engine
from ._keys import PrivateKey
from ._operations import requests as operations
from ._resources.batches import Batches
from ._resources.checks import Checks
from ._resources.consents import Consents
from ._resources.events import Events, EventSubscriptions
from ._resources.ledger import Ledger
from ._resources.metadata import Metadata
from ._resources.partner import Partner
from ._resources.records import Disputes, Records
from ._resources.scenarios import Scenarios
from ._settings import MAX_RETRIES, TIMEOUT, config_from, retries
from .observe import Observer, RawResponse

if TYPE_CHECKING:
    from ._http import HttpClient, SyncDriver

__all__ = ["Xinyi"]


class Xinyi:
    """A client of one platform for one partner. Make one and share it between threads; it survives a fork.

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
        http_client: "HttpClient | None" = None,
        on_event: Observer | None = None,
    ) -> None:
        from ._http import SyncDriver

        config = config_from(base_url, client_id, private_key, scopes, max_retries, on_event)
        self._use(Engine(config), SyncDriver(http_client, timeout))

    def _use(self, engine: Engine, driver: "SyncDriver") -> None:
        self._engine: Engine = engine
        self._driver: SyncDriver = driver
        self.scenarios: Scenarios = Scenarios(engine, driver)
        self.consents: Consents = Consents(engine, driver)
        self.checks: Checks = Checks(engine, driver)
        self.batches: Batches = Batches(engine, driver)
        self.events: Events = Events(engine, driver)
        self.event_subscriptions: EventSubscriptions = EventSubscriptions(engine, driver)
        self.records: Records = Records(engine, driver)
        self.disputes: Disputes = Disputes(engine, driver)
        self.partner: Partner = Partner(engine, driver)
        self.ledger: Ledger = Ledger(engine, driver)
        self.metadata: Metadata = Metadata(engine, driver)

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

    def request(
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
        return self._driver.run(operations.request(self._engine, method, path, json, query, idempotency_key))

    def close(self) -> None:
        """Closes the connections."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        config = self._engine.config
        return f"Xinyi(base_url={config.issuer!r}, client_id={config.client_id!r})"
