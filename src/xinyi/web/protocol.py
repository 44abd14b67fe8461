"""HTTP/1.1 as uvicorn speaks it, with bounds: who sends no request to its end holds neither memory nor a place.

uvicorn and its parser keep whatever comes before the headers are complete, and wait for the rest for ever. A proxy in
front of the server usually has such bounds; these hold without one.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .middleware import MAX_HEADER_BYTES


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    It ends with 431 when more than 32 KiB in a row are neither headers that are complete nor a body; with 408 when the
    headers aren't complete in time; without a word when the body isn't; and at once when there are as many connections
    as uvicorn's ``limit_concurrency`` allows.
    """

    headers_within: float = 10.0
    """Seconds from the first byte, or from the connection's beginning, to the headers' end."""
    body_within: float = 30.0
    """Seconds from the headers' end to the body's, and more for a long one:"""
    body_rate: float = 4096.0
    """Bytes of the body that bring a second more, so that an upload may be slow but not stand still."""
    linger: float = 1.0
    """Seconds after a refusal in which what still comes is read for nothing, so that the refusal arrives: a connection
    that is closed over unread bytes is reset, and what was said last is lost."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._draining = False
        self._deadline: TimerHandle | None = None
        self._whole = False  # all of a request is here, and nothing of the next
        self._in_body = False
        self._began_at = 0.0
        self._headers_ended_at = 0.0
        self._received = 0
        self._moved = False
        self._idle_bytes = 0
        self._refused = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self.connections.discard(self)  # it takes nobody's place until it is gone
            transport.abort()
            return
        self._began_at = self.loop.time()
        self._deadline = self.loop.call_later(self.headers_within, self._overdue)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._moved = False
        self._whole = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Headers, trailers and the extensions of chunks are all kept by the parser until their end.
        self._idle_bytes = 0 if self._moved else self._idle_bytes + len(data)
        if self._idle_bytes > MAX_HEADER_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._whole:
            self._cancel()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(
                self.body_within if self._in_body else self.headers_within, self._overdue
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # else it is a trailer, which would come after all were looked at (RFC 9110 §6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._moved = self._in_body = True
        self._headers_ended_at = self.loop.time()
        self._received = 0
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._moved = True
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved = self._whole = True
        self._in_body = False
        super().on_message_complete()

    def drain(self) -> None:
        """From now on the next answer is the last of this connection, and says so."""
        self._draining = True
        if self._answering:
            self.cycle.keep_alive = False

    def on_message_begin(self) -> None:
        self._whole = False
        self._began_at = self.loop.time()
        super().on_message_begin()

    def on_response_complete(self) -> None:
        self._began_at = self.loop.time()  # whoever sent a part of the next request meanwhile has time from now on
        super().on_response_complete()

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _overdue(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        left = self._left()
        if left > 0:
            self._deadline = self.loop.call_later(left, self._overdue)
        elif self._in_body:
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _left(self) -> float:
        """For how many seconds the caller has still time. None passes while it is the server that doesn't read on."""
        if not self._in_body:
            if self._answering:
                return self.headers_within
            return self._began_at + self.headers_within - self.loop.time()
        if not self._answering:
            return 0.0  # the answer is given: whatever else is sent is read for nothing
        if self.flow.read_paused:
            return self.body_within
        allowed = self.body_within + self._received / self.body_rate
        return self._headers_ended_at + allowed - self.loop.time()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: HTTPStatus) -> None:
        """Says why in a line, unless an answer is on its way, and ends the connection."""
        if self._answering:
            self.transport.close()
            return
        self._refused = True
        self._cancel()
        self._unset_keepalive_if_required()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode())
        self.transport.write_eof()
        self._deadline = self.loop.call_later(self.linger, self.transport.abort)
