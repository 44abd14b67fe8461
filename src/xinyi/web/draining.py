"""Stopping without dropping anybody: who has connected is answered, and told with the answer that the connection ends.

uvicorn closes its listening socket and all idle connections at once. That resets those who have connected and weren't
accepted yet, and those whose next request is on its way.
"""

import asyncio
import socket
from typing import Final, cast

from uvicorn import Server
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from .protocol import BoundedProtocol

IDLE: Final = 1.0
"""Seconds that a connection stays open for a request that may be on its way, once the server is to stop."""
_LOOK: Final = 0.02


class DrainingServer(Server):
    """One worker, whose ``config`` names :class:`BoundedProtocol`."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes in who has connected, and lets nobody else; then answers what comes, each connection's last."""
        listeners = [each.dup() for each in sockets or ()]
        for server in self.servers:
            server.close()
        for listener in listeners:
            await self._take_in(listener)
        connections = cast("set[BoundedProtocol]", self.server_state.connections)
        for connection in list(connections):
            connection.drain()
        loop = asyncio.get_running_loop()
        until = loop.time() + IDLE
        while connections and loop.time() < until and not self.force_exit:  # noqa: ASYNC110 (a set of uvicorn's)
            await asyncio.sleep(_LOOK)
        await super().shutdown(sockets)

    async def _take_in(self, listener: socket.socket) -> None:
        """Closes the socket when nobody waits at it: whoever connects from then on is refused."""
        waiting = []
        while True:
            try:
                waiting.append(listener.accept()[0])
            except OSError:
                break
        listener.close()
        for connection in waiting:
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> BoundedProtocol:
        return BoundedProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


class _Worker(Process):
    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = DrainingServer(config=self.config)
        return self._server


class DrainingWorkers(Multiprocess):
    """Many workers at one socket; one that dies is replaced."""

    def init_processes(self) -> None:
        multiprocess.Process = _Worker  # type: ignore[misc]  # by this name uvicorn makes each, also the later ones
        super().init_processes()

    def terminate_all(self) -> None:
        for each in self.sockets:
            each.close()  # else it would let people in whom no worker serves any more
        super().terminate_all()
