"""The real server in a process of its own, for tests that kill it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from tests.support.canaries import watch
from tests.support.pairs import Pair


@dataclass(frozen=True)
class ServerProcess:
    """A running server: its address, what it logs, and the means to end it as a power cut would."""

    url: str
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)
    """The lines that it logged so far: errors alone."""

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is cleaned up."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """SIGTERM: what is under way is finished."""
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def server_process(
    folder: Path, pair: Pair, *options: str, url: str | None = None, **settings: str
) -> Iterator[ServerProcess]:
    """``xinyi serve`` on a free port over the installation in ``folder``, until the block ends.

    ``settings`` go into its environment. ``url``: where it is reached, when that isn't its issuer.
    """
    command = [sys.executable, "-m", "xinyi", "serve", "--port", "0", *options]
    more = {f"XINYI_{name.upper()}": value for name, value in settings.items()}
    environment = {**os.environ, **pair.environ(folder), "XINYI_LOG_LEVEL": "ERROR", **more}
    with subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            log: list[str] = []
            while not (first := process.stderr.readline()).startswith("xinyi sandbox: "):
                if first.startswith("{"):  # what it logs meanwhile
                    log.append(first)
                else:
                    assert "Made a new sandbox" in first, "".join(log) + first + process.stderr.read()
            # A server whose log nobody reads would stand still.
            reader = Thread(target=log.extend, args=(process.stderr,))
            reader.start()
            try:
                yield ServerProcess(url or first.split()[-1], process, log)
            finally:
                process.terminate()
                reader.join()
                watch.look_at("".join(log))
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
