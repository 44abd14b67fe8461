"""A real server for tests that need one: browsers, the sync SDK, processes that are killed."""

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal, start_blocking_portal

from xinyi.web.protocol import BoundedProtocol

T = TypeVar("T")
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class LiveServer:
    """A running server and a door into its event loop."""

    url: str
    """The origin, such as ``http://127.0.0.1:40123``."""
    app: Any
    _portal: BlockingPortal

    def call(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """Run an async function in the server's own event loop, where the app's database lives."""
        return self._portal.call(function, *args)


class _AnnouncingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, task_status: TaskStatus[None]) -> None:
        super().__init__(config)
        self._task_status = task_status

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn's way of saying that the app's lifespan failed
            raise RuntimeError("the app did not start") from None
        self._task_status.started()


@contextmanager
def running_server(make_app: Callable[[str], AsgiApp], **options: Any) -> Iterator[LiveServer]:
    """Serve ``make_app(url)`` on a free loopback port, from when this yields until the block ends.

    The app is made with its own address at hand since tokens and proofs are bound to it. ``options`` are uvicorn's.
    If the app cannot start, RuntimeError.
    """
    with socket.socket() as listener, start_blocking_portal("asyncio") as portal:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = make_app(url)
        servers: list[uvicorn.Server] = []

        async def serve(*, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
            given = {"http": BoundedProtocol, "timeout_graceful_shutdown": 5, **options}
            config = uvicorn.Config(app, lifespan="on", log_config=None, ws="none", **given)
            server = _AnnouncingServer(config, task_status)
            servers.append(server)
            await server.serve(sockets=[listener])

        served, _ = portal.start_task(serve)
        try:
            yield LiveServer(url, app, portal)
        finally:
            servers[0].should_exit = True
            served.result()
