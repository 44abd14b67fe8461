"""What a client does on the wire, told to whoever asks: for metrics, traces, support and raw responses.

``Xinyi(on_event=callable)`` is called with each of these, in the thread or task of the call. What it raises is logged
and changes no call. The logger ``xinyi_sdk`` is told the same at level ``DEBUG``, and retries at ``INFO``; neither
sees a token, a key, an assertion or a request's body.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from ._problems import REQUEST_ID

__all__ = ["CallEvent", "RequestFailed", "RequestSent", "ResponseReceived", "RetryPlanned"]

_log: Final = logging.getLogger("xinyi_sdk")


class RequestSent(Struct, frozen=True, kw_only=True):
    """One try is about to go out. ``request_id`` is that of all tries of one call."""

    method: str
    url: str
    request_id: str

    def __str__(self) -> str:
        return f"{self.method} {self.url} [{self.request_id}]"


class ResponseReceived(Struct, frozen=True, kw_only=True):
    """One try was answered, whatever the status: the raw response. Header names are in lower case.

    ``body`` is empty where it holds a token.
    """

    method: str
    url: str
    request_id: str
    status: int
    seconds: float
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.url}: {self.status} in {self.seconds:.3f} s [{self.request_id}]"

    def __repr__(self) -> str:
        return f"ResponseReceived({self})"


class RequestFailed(Struct, frozen=True, kw_only=True):
    """One try got no answer. ``error`` says why."""

    method: str
    url: str
    request_id: str
    seconds: float
    error: str

    def __str__(self) -> str:
        return f"{self.error} after {self.seconds:.3f} s [{self.request_id}]"


class RetryPlanned(Struct, frozen=True, kw_only=True):
    """The call is tried again in ``seconds``; ``number`` counts the retries from 1."""

    number: int
    seconds: float

    def __str__(self) -> str:
        return f"retry {self.number} in {self.seconds:.2f} s"


CallEvent: TypeAlias = RequestSent | ResponseReceived | RequestFailed | RetryPlanned
Observer: TypeAlias = Callable[[CallEvent], object]


def watched(observer: Observer | None) -> bool:
    """Whether anybody wants to be told: most calls are made without, and cost nothing then."""
    return observer is not None or _log.isEnabledFor(logging.DEBUG)


def tell(observer: Observer | None, event: CallEvent) -> None:
    """Tells the log, and the observer if there is one."""
    level = logging.INFO if isinstance(event, RetryPlanned) else logging.DEBUG
    if _log.isEnabledFor(level):
        _log.log(level, "%s", event)
    if observer is None:
        return
    try:
        observer(event)
    except Exception:  # noqa: BLE001 - whatever it is, the answer is worth more
        _log.exception("on_event raised; the call goes on")


class RawResponse(Struct, frozen=True, kw_only=True):
    """What ``client.request`` gives: a success as it came. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """What support asks for."""
        return self.headers.get(REQUEST_ID)

    def json(self) -> object:
        """The body's JSON. Raises ``ValueError`` when it is none."""
        return msgspec.json.decode(self.body)

    def __repr__(self) -> str:
        return f"RawResponse({self.status}, {len(self.body)} bytes)"
