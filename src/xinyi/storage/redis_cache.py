"""The short-lived state in Redis or Valkey, for many workers on many hosts.

There is no timer: while one round trip is under way the next one gathers, so that all who wait at that moment share
it. Each ends with a look at the sentinel: a key that says since when this state knows everything, and in which run of
the server. If it is missing (a flush) or names another run (a restart, a failover), the state begins anew.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from ..kernel.errors import Code, XinyiError
from .cache import Begin, UnfitCache

_log = structlog.get_logger(__name__)

WITHIN: Final = 0.4
"""How many seconds one round trip may take, connecting included: then everyone who waits is refused."""
_AT_THE_START: Final = 5.0
"""As many for the first connection, when nobody waits for an answer yet, and a machine that starts is busy."""
PREFIX: Final = "xinyi:"
_SENTINEL: Final = "since"
_IDLE: Final = 1.0
_MOST: Final = 1024

Command = tuple[str | bytes | int, ...]


class _Waiting(Struct, frozen=True):
    command: Command
    future: asyncio.Future[Any]


class RedisCache:
    """A :class:`~xinyi.storage.cache.Cache` behind one connection. ``url``: ``redis://``, ``rediss://`` or ``unix://``.

    ``begin`` is asked when the state begins anew. Every key starts with ``prefix``.
    """

    def __init__(self, url: str, begin: Begin, *, prefix: str = PREFIX) -> None:
        # A round trip as a whole has its time: one for each reply costs more than to read it.
        self._pool = ConnectionPool.from_url(url, socket_connect_timeout=None, socket_timeout=None)
        self._begin = begin
        self._prefix = prefix
        self._connection: AbstractConnection | None = None
        self._run_id = b""
        self._used_at = 0.0
        self._waiting: list[_Waiting] = []
        self._working: asyncio.Task[None] | None = None
        self._since = datetime.fromtimestamp(0, UTC)

    @property
    def since(self) -> datetime:
        return self._since

    async def open(self) -> None:
        try:
            async with asyncio.timeout(_AT_THE_START):
                await self._connected()
        except UnfitCache:
            await self._disconnect()
            raise
        except (OSError, RedisError) as error:
            await self._disconnect()
            raise _unreachable() from error
        await self._ask("GET", self._key(_SENTINEL))

    async def close(self) -> None:
        if self._working is not None:
            await self._working
        await self._disconnect()

    async def add(self, key: str, ttl: timedelta, value: bytes = b"") -> bool:
        return await self._ask("SET", self._key(key), value, "NX", "PX", _milliseconds(ttl)) is not None

    async def put(self, key: str, ttl: timedelta, value: bytes) -> None:
        await self._ask("SET", self._key(key), value, "PX", _milliseconds(ttl))

    async def get(self, key: str) -> bytes | None:
        return _bytes(await self._ask("GET", self._key(key)))

    async def touch(self, key: str, ttl: timedelta) -> bytes | None:
        return _bytes(await self._ask("GETEX", self._key(key), "PX", _milliseconds(ttl)))

    async def take(self, key: str) -> bytes | None:
        return _bytes(await self._ask("GETDEL", self._key(key)))

    async def delete(self, key: str) -> None:
        await self._ask("DEL", self._key(key))

    def count(self, key: str, ttl: timedelta) -> asyncio.Future[int]:
        # In this order the count has its end before it is one, whatever happens between the two.
        begun = self._send("SET", self._key(key), 0, "NX", "PX", _milliseconds(ttl))
        begun.add_done_callback(_unheard)
        return self._send("INCR", self._key(key))

    def present(self, *keys: str) -> asyncio.Future[int]:
        return self._send("EXISTS", *map(self._key, keys))

    def _key(self, key: str) -> str:
        return self._prefix + key

    async def _ask(self, *command: str | bytes | int) -> Any:
        return await self._send(*command)

    def _send(self, *command: str | bytes | int) -> asyncio.Future[Any]:
        """Puts a command into the next round trip; the future gets its reply."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(command, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="storage.redis")
        return future

    async def _work(self) -> None:
        """Round trip after round trip, until nobody waits."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                try:
                    replies = await self._exchange([waiting.command for waiting in batch])
                except Exception as error:  # noqa: BLE001 (whatever went wrong, those who wait are told)
                    await self._disconnect()
                    # Those who came meanwhile would wait as long again, and for the same.
                    batch, self._waiting = batch + self._waiting, []
                    for waiting in batch:
                        _settle(waiting.future, error=_refusal(error))
                else:
                    for waiting, reply in zip(batch, replies, strict=True):
                        _settle(waiting.future, reply)
        finally:
            self._working = None

    async def _exchange(self, commands: list[Command]) -> list[Any]:
        sentinel = self._key(_SENTINEL)
        async with asyncio.timeout(WITHIN):
            connection = await self._connected()
            # The sentinel is read last: a flush before it, even in the midst, is seen.
            *replies, found = await self._round_trip(connection, [*commands, ("GET", sentinel)])
        if not self._knows(found):
            found = await self._begin_anew(connection, found)
        self._since = max(self._since, _moment(found))
        return replies

    async def _begin_anew(self, connection: AbstractConnection, found: Any) -> Any:
        sentinel, since = self._key(_SENTINEL), await self._begin()
        value = f"{int(since.timestamp())}:".encode() + self._run_id
        only_if_missing = ("NX",) if found is None else ()
        async with asyncio.timeout(WITHIN):
            stored, found = await self._round_trip(
                connection, [("SET", sentinel, value, *only_if_missing), ("GET", sentinel)]
            )
        if isinstance(stored, ResponseError) or not self._knows(found):
            raise _unreachable()
        _log.warning("cache_began", since=_moment(found).isoformat())
        return found

    def _knows(self, found: Any) -> bool:
        return isinstance(found, bytes) and found.partition(b":")[2] == self._run_id

    async def _round_trip(self, connection: AbstractConnection, commands: list[Command]) -> list[Any]:
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(await connection.read_response(disable_decoding=True))
            except ReadOnlyError:
                raise  # the connection leads to what is no longer the primary
            except ResponseError as refused:
                replies.append(refused)
        self._used_at = asyncio.get_running_loop().time()
        return replies

    async def _connected(self) -> AbstractConnection:
        connection = self._connection
        idle = asyncio.get_running_loop().time() - self._used_at > _IDLE
        if connection is not None and idle and await _is_gone(connection):
            await self._disconnect()
            connection = None
        if connection is None:
            # Kept at once, so that whatever fails from here on closes it.
            connection = self._connection = self._pool.make_connection()  # type: ignore[no-untyped-call]  # redis has it so
            await connection.connect()
            server, memory = await self._round_trip(connection, [("INFO", "server"), ("INFO", "memory")])
            self._run_id = _info(server)[b"run_id"]
            _require_fit(_info(memory))
        return connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


def _require_fit(memory: dict[bytes, bytes]) -> None:
    policy, most = memory[b"maxmemory_policy"].decode(), int(memory[b"maxmemory"])
    if most and policy != "noeviction":
        raise UnfitCache(
            f"the memory store drops keys when it is full (maxmemory-policy {policy}), and with them the knowledge of "
            "which proofs were used: set maxmemory-policy to noeviction"
        )


async def _is_gone(connection: AbstractConnection) -> bool:
    """Whether the other side has closed it, or said what nobody asked."""
    try:
        unasked: bool = await connection.can_read()
    except (OSError, RedisError):
        return True
    return unasked


def _info(reply: Any) -> dict[bytes, bytes]:
    if isinstance(reply, ResponseError):
        raise reply
    pairs = (line.partition(b":") for line in reply.split(b"\r\n") if b":" in line)
    return {name: value for name, _, value in pairs}


def _settle(future: asyncio.Future[Any], reply: Any = None, error: Exception | None = None) -> None:
    if future.done():
        return
    if isinstance(reply, ResponseError):
        # Full (noeviction), read-only after a failover, loading: whatever it is, nothing was learnt.
        error = XinyiError(Code.UNAVAILABLE, "the memory store refuses", retry_after=1)
        error.__cause__ = reply
    if error is None:
        future.set_result(reply)
    else:
        future.set_exception(error)


def _unheard(future: asyncio.Future[Any]) -> None:
    """What went wrong is told by the command that follows, which nobody waits for in vain."""
    if not future.cancelled():
        future.exception()


def _refusal(error: Exception) -> Exception:
    if isinstance(error, XinyiError):
        return XinyiError(error.code, error.detail, retry_after=error.retry_after)
    refusal = _unreachable()
    refusal.__cause__ = error
    if isinstance(error, UnfitCache):
        _log.critical("cache_unfit", reason=str(error))
    elif not isinstance(error, OSError | RedisError):
        _log.error("cache_failed", error=type(error).__name__)
    return refusal


def _unreachable() -> XinyiError:
    return XinyiError(Code.UNAVAILABLE, "the memory store can't be reached", retry_after=1)


def _moment(sentinel: bytes) -> datetime:
    return datetime.fromtimestamp(int(sentinel.partition(b":")[0]), UTC)


def _bytes(reply: Any) -> bytes | None:
    assert reply is None or isinstance(reply, bytes)
    return reply


def _milliseconds(ttl: timedelta) -> int:
    return max(1, round(ttl.total_seconds() * 1000))
