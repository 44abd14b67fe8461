"""The server under test on one core; the load generator, the databases and everything else on another."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_READY_WITHIN: Final = 30.0
PYTHON: Final = (sys.executable, "-m")
_CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
SERVER_CORE: Final = _CORES[0] if len(_CORES) > 1 else None
"""``None`` where processes can't be bound, or there is one core only: then the ratios are not those of one core."""


@dataclass(frozen=True)
class Server:
    """A contender's process, which listens on ``port``. ``started_in``: seconds from its start to its first answer."""

    port: int
    pid: int
    started_in: float

    @property
    def resident_mib(self) -> float:
        """Its resident memory (Linux)."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    @property
    def computed(self) -> float:
        """The processor time that it used so far, in seconds (Linux): what others do on its core isn't in it."""
        return computed(self.pid)


def computed(pid: int, *, with_children: bool = False) -> float:
    """The processor time that a process used so far, in seconds (Linux).

    With its children: those that run, and those that ended since.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds = sum(map(int, fields[11 : 15 if with_children else 13])) / os.sysconf("SC_CLK_TCK")
    if with_children:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        seconds += sum(computed(int(child)) for child in children)
    return seconds


def prepare() -> None:
    """Binds this process, and all that it starts from now on but for servers, to the other cores.

    Told to end, it ends what it started and removes what it wrote.
    """
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    if SERVER_CORE is not None:
        os.sched_setaffinity(0, set(_CORES) - {SERVER_CORE})


@contextmanager
def running(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Server]:
    """``python -m WORDS --port PORT`` on the server's core, until the block ends. Waits until it answers."""
    port, started = free_port(), time.perf_counter()
    log = folder / f"{port}.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*PYTHON, *words, "--port", str(port)],
            env={**os.environ, "XINYI_LOG_LEVEL": "ERROR", **environment},
            stdout=errors,
            stderr=errors,
            preexec_fn=to_the_servers_core,
        ) as process,
    ):
        try:
            _wait_for_answer(port, process, log)
            yield Server(port, process.pid, time.perf_counter() - started)
        finally:
            process.terminate()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for_answer(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + _READY_WITHIN
    while process.poll() is None and time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_READY_WITHIN) as connection:
                connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
                if connection.recv(64).startswith(b"HTTP/1.1 "):
                    return
        except OSError:
            time.sleep(0.005)
    raise RuntimeError(f"the server {process.args!r} doesn't answer: {log.read_text(errors='replace')}")


def to_the_servers_core() -> None:
    """Binds this process to the server's core."""
    if SERVER_CORE is not None:
        os.sched_setaffinity(0, {SERVER_CORE})
