"""The load generator believes an answer only when it is a whole 200."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from benchmarks.load import AnswerReader, WrongAnswer, closed_loop, open_loop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-more: 1\r\n\r\nhello"


def test_an_answer_in_one_piece_is_complete() -> None:
    assert AnswerReader().feed(ANSWER)


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_an_answer_may_come_in_two_pieces(cut: int) -> None:
    reader = AnswerReader()

    assert not reader.feed(ANSWER[:cut])
    assert reader.feed(ANSWER[cut:])


def test_the_next_answer_begins_anew() -> None:
    reader = AnswerReader()

    assert [reader.feed(ANSWER), reader.feed(ANSWER[:9]), reader.feed(ANSWER[9:])] == [True, False, True]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: minus\r\n\r\n",
        ANSWER + b"more",
    ],
    ids=["status", "no content", "no length", "bad length", "too long"],
)
def test_anything_else_ends_the_run(answer: bytes) -> None:
    with pytest.raises(WrongAnswer):
        AnswerReader().feed(answer)


def test_what_was_wrong_is_told() -> None:
    with pytest.raises(WrongAnswer, match="busy"):
        AnswerReader().feed(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy")


class _Server(asyncio.Protocol):
    def __init__(self, answer: bytes, seen: list[bytes]) -> None:
        self.answer = answer
        self.seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.seen.append(data)
        self.transport.write(self.answer)


@asynccontextmanager
async def serving(answer: bytes, seen: list[bytes]) -> AsyncGenerator[int]:
    """The port of a server that answers everything so."""
    server = await asyncio.get_running_loop().create_server(lambda: _Server(answer, seen), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("loop", ["closed", "open"])
async def test_each_request_is_sent_once_and_timed(loop: str) -> None:
    requests, seen = [b"request %03d" % number for number in range(200)], list[bytes]()

    async with serving(ANSWER, seen) as port:
        run = await (closed_loop(port, requests, 7) if loop == "closed" else open_loop(port, requests, 5000, 7))

    assert sorted(seen) == requests
    assert len(run.latencies) == len(requests)


async def test_a_wrong_answer_stops_everything() -> None:
    async with serving(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", []) as port:
        with pytest.raises(WrongAnswer, match="401"):
            await closed_loop(port, [b"request"] * 50, 5)
