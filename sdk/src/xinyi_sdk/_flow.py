"""The engine does no I/O: it is generators that yield what should be done and are sent what came of it.

``Flow[T]`` yields :class:`Send`, :class:`Pause` and :class:`Alone` and returns a ``T``. Two drivers in ``_http`` do the
steps, one blocking and one awaiting; everything that decides is written, and tested, once.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, get_args

T = TypeVar("T")
Lock: TypeAlias = Literal["metadata", "token", "ledger"]
LOCKS: Final[tuple[Lock, ...]] = get_args(Lock)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Its headers and body hold secrets and stay out of ``repr``.

    The answer of one that ``obtains`` a secret is shown to no observer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    obtains: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, and the cursor behind them; ``None`` when no more will come."""

    items: tuple[T, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request; the result is the :class:`Response`. Raises ``ConnectionFailed``."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alone:
    """Run a flow while no other caller runs one of this name; the result is the flow's.

    With ``wait=False``, the result is ``None`` at once when another caller is already at it.
    """

    name: Lock
    flow: "Flow[Any]"
    wait: bool = True


Step: TypeAlias = Send | Pause | Alone
Flow: TypeAlias = Generator[Step, Any, T]


def send(request: Request) -> Flow[Response]:
    """Typed form of :class:`Send`."""
    response: Response = yield Send(request)
    return response


def pause(seconds: float) -> Flow[None]:
    """Typed form of :class:`Pause`."""
    yield Pause(seconds)


def alone(name: Lock, flow: Flow[T]) -> Flow[T]:
    """Typed form of :class:`Alone` that waits for its turn."""
    result: T = yield Alone(name, flow)
    return result


def alone_or_skip(name: Lock, flow: Flow[T]) -> Flow[T | None]:
    """Typed form of :class:`Alone` that doesn't wait."""
    result: T | None = yield Alone(name, flow, wait=False)
    return result
