"""Receivers of events on the loopback, which behave as they are told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass
class Message:
    """One message that arrived, as it was sent."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = msgspec.json.decode(self.body)
        return event


HANG = -1
"""As a status: takes the message and never answers."""
DROP = -2
"""As a status: takes the message and closes the connection."""


@dataclass
class Receiver:
    """An HTTP server: ``status`` says what the next message is answered, or what happens instead."""

    url: str = ""
    status: Callable[[], int] = lambda: 204
    arrived: list[Message] = field(default_factory=list)
    """All messages, whatever they were answered."""
    taken: list[Message] = field(default_factory=list)
    """Those that were answered 2xx."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with each message; receivers may share one."""
    connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def origin(self) -> str:
        return self.url.rpartition("/")[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            message = Message(head[0].split()[1], headers, body)
            self.arrived.append(message)
            status = self.status()
            if 200 <= status < 300:
                self.taken.append(message)
            self.news.set()
            if status == HANG:
                await reader.read()  # until the other side gives up
            elif status != DROP:
                writer.write(f"HTTP/1.1 {status} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()


async def until(enough: Callable[[], bool], news: asyncio.Event) -> None:
    """Waits for messages until there are enough."""
    while not enough():
        news.clear()
        await news.wait()


@asynccontextmanager
async def receiving(*receivers: Receiver) -> AsyncIterator[None]:
    """Serves them on free ports, until the block ends; each ``url`` is set by then."""
    servers = []
    for receiver in receivers:
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
        servers.append(server)
    try:
        yield
    finally:
        for receiver, server in zip(receivers, servers, strict=True):
            server.close()
            for writer in tuple(receiver.connections):
                writer.transport.abort()
            await server.wait_closed()
