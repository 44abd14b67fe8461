"""The real server in a process of its own, for tests that kill it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.pairs import Pair


@dataclass(frozen=True)
class ServerProcess:
    """A running server: its address, and the means to end it as a power cut would."""

    url: str
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is cleaned up."""
        self.process.kill()
        self.process.wait()


@contextmanager
def server_process(folder: Path, pair: Pair, *options: str) -> Iterator[ServerProcess]:
    """``xinyi serve`` on a free port over the installation in ``folder``, until the block ends."""
    command = [sys.executable, "-m", "xinyi", "serve", "--port", "0", *options]
    environment = {**os.environ, **pair.environ(folder), "XINYI_LOG_LEVEL": "ERROR"}
    with subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            first = process.stderr.readline()
            assert first.startswith("xinyi sandbox: "), first + process.stderr.read()
            yield ServerProcess(first.split()[-1], process)
        finally:
            process.terminate()


def xinyi(folder: Path, pair: Pair, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of ``xinyi`` over the installation in ``folder``."""
    return subprocess.run(
        [sys.executable, "-m", "xinyi", *words],
        env={**os.environ, **pair.environ(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
