"""Whoever doesn't send a request to its end holds neither memory nor a place: over real sockets."""

import asyncio
import select
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.server import LiveServer, running_server
from xinyi.web.protocol import BoundedProtocol

GET = b"GET /now HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /now HTTP/1.1\r\nhost: x\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
LIMIT = 32 * 1024
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
MOST = 5


class Impatient(BoundedProtocol):
    """The server's own protocol, in a hurry."""

    headers_within = 0.3
    body_within = 0.3
    body_rate = 1000.0
    linger = 0.1


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and tells its length; at ``/late`` it takes longer than anybody has for sending."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length, more = length + len(message["body"]), message.get("more_body", False)
    if scope["path"] == "/late":
        await asyncio.sleep(2 * Impatient.headers_within)
    body = b"%d bytes, %d headers" % (length, len(scope["headers"]))
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Any, send: Any) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with running_server(lambda _: app, http=Impatient, limit_concurrency=MOST + 1, timeout_keep_alive=30) as running:
        yield running


def connected(server: LiveServer) -> socket.socket:
    address = urlsplit(server.url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 0), timeout=10)


@pytest.fixture
def caller(server: LiveServer) -> Iterator[socket.socket]:
    with connected(server) as caller:
        yield caller


def rest(caller: socket.socket) -> bytes:
    """All that the server still says, until it closes."""
    said = b""
    try:
        while piece := caller.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def dripping(caller: socket.socket, drops: bytes, every: float = 0.02) -> bytes:
    """Sends the same again and again, never to an end, until the server says something or closes."""
    while not select.select([caller], [], [], every)[0]:
        try:
            caller.sendall(drops)
        except OSError:
            break
    return rest(caller)


def answered(caller: socket.socket) -> bytes:
    """One answer of the application."""
    said = b""
    while not said.endswith(b" headers"):
        piece = caller.recv(65536)
        assert piece, said
        said += piece
    return said


def test_a_request_is_answered(caller: socket.socket):
    caller.sendall(GET + b"\r\n")
    assert answered(caller).endswith(b"0 bytes, 1 headers")


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(GET + b"a: ", id="a header"),
        pytest.param(b"GET /", id="a URL"),
        pytest.param(CHUNKED + b"1;a=", id="a chunk's extension"),
        pytest.param(CHUNKED + b"1\r\nx\r\n0\r\na: ", id="a trailer"),
    ],
)
def test_what_never_ends_is_not_kept(caller: socket.socket, begun: bytes):
    caller.sendall(begun)
    assert dripping(caller, b"A" * LIMIT, every=0) in {b"", TOO_LARGE}


def test_many_headers_are_too_many_as_well(caller: socket.socket):
    caller.sendall(GET + b"a: 0123456789\r\n" * 3000)
    assert rest(caller).startswith(b"HTTP/1.1 431 ")


def test_many_trailers_are_too_many_as_well(caller: socket.socket):
    caller.sendall(CHUNKED + b"1\r\nx\r\n")
    caller.sendall(b"0\r\n" + b"a: 0123456789\r\n" * 3000)
    assert b"200" not in rest(caller)


def test_trailers_are_no_headers(caller: socket.socket):
    caller.sendall(CHUNKED + b"1\r\nx\r\n0\r\nauthorization: DPoP x\r\n\r\n")
    assert answered(caller).endswith(b"1 bytes, 2 headers")


@pytest.mark.parametrize("begun", [b"", b"G", GET, GET + b"a: b"])
def test_headers_that_do_not_come_are_not_waited_for(caller: socket.socket, begun: bytes):
    caller.sendall(begun)
    assert rest(caller).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("drops", [b"a: b\r\n", b"a"])
def test_headers_that_drip_are_not_waited_for(caller: socket.socket, drops: bytes):
    caller.sendall(GET)
    assert dripping(caller, drops).startswith(b"HTTP/1.1 408 ")


def test_blank_lines_keep_no_connection(caller: socket.socket):
    caller.sendall(GET + b"\r\n")
    assert answered(caller).startswith(b"HTTP/1.1 200 ")
    assert dripping(caller, b"\r\n").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("begun", [POST + b"content-length: 100000\r\n\r\n", CHUNKED])
def test_a_body_that_stands_still_is_not_waited_for(caller: socket.socket, begun: bytes):
    caller.sendall(begun)
    assert rest(caller) == b""


def test_a_body_that_drips_is_not_waited_for(caller: socket.socket):
    caller.sendall(POST + b"content-length: 100000\r\n\r\n")
    assert dripping(caller, b"a") == b""


def test_a_body_may_take_long_as_long_as_it_comes(caller: socket.socket):
    pieces = int(3 * Impatient.body_within / 0.02)
    caller.sendall(POST + b"content-length: %d\r\n\r\n" % (100 * pieces))
    for _ in range(pieces):
        assert not select.select([caller], [], [], 0.02)[0]
        caller.sendall(b"a" * 100)
    assert answered(caller).endswith(b"%d bytes, 2 headers" % (100 * pieces))


def test_an_answer_may_take_long(caller: socket.socket):
    caller.sendall(b"POST /late HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\na")
    caller.sendall(GET)  # the next request begins before the answer to the first
    assert answered(caller).endswith(b"1 bytes, 2 headers")
    caller.sendall(b"\r\n")
    assert answered(caller).endswith(b"0 bytes, 1 headers")


def test_who_comes_when_all_places_are_taken_is_sent_away(server: LiveServer):
    guests = [connected(server) for _ in range(MOST)]
    for guest in guests:
        guest.sendall(GET + b"\r\n")
        assert answered(guest).startswith(b"HTTP/1.1 200 ")
    with connected(server) as late:
        assert rest(late) == b""
    for guest in guests:
        guest.sendall(GET + b"\r\n")
        assert answered(guest).startswith(b"HTTP/1.1 200 ")
        guest.close()
