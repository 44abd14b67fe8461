"""A server that stops answers who has connected, whether or not it had looked at them yet."""

import asyncio
import socket
from typing import Any

import pytest
import uvicorn

from xinyi.web.draining import DrainingServer
from xinyi.web.protocol import BoundedProtocol

REQUEST = b"GET / HTTP/1.1\r\nhost: credit.example\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def started(listener: socket.socket) -> DrainingServer:
    config = uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_config=None, ws="none", server_header=False)
    config.load()
    server = DrainingServer(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    return server


async def test_who_waits_at_the_door_and_who_just_sent_are_answered_and_told_that_it_is_the_last():
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    server = await started(listener)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(REQUEST)
    assert b"connection: close" not in await reader.readuntil(b"ok")
    with socket.create_connection(address) as at_the_door:
        # From here to the shutdown the server's loop has no chance to look.
        writer.write(REQUEST)
        at_the_door.sendall(REQUEST)
        await server.shutdown([listener])
        for answer in (await reader.read(), at_the_door.recv(4096)):
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert b"connection: close" in answer
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


async def test_who_sends_nothing_is_let_go_after_a_second():
    listener = socket.create_server(("127.0.0.1", 0))
    server = await started(listener)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    await server.shutdown([listener])
    assert await reader.read() == b""
    writer.close()
