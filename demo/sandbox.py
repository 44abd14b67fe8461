"""A sandbox made with the operator's own commands: sources, records, two partners with keys of their own."""

import json
import shlex
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from subprocess import PIPE, Popen
from sys import executable, stderr
from threading import Thread
from typing import IO, Final

import click

from demo.surroundings import DemoFailed, surrounded_by, without_settings
from xinyi.cli import main as xinyi
from xinyi_sdk.cli import main as xinyi_sdk

Announce = Callable[[str], None]

_PROGRAMS: Final = Path(executable).parent


@dataclass(frozen=True)
class Member:
    """A partner with one client: what its developers hold."""

    name: str
    client_id: str
    private_key: str
    redirect_uri: str


class Sandbox:
    """An installation in ``folder``. Each command is told to ``announce`` before it runs, as it can be pasted.

    Settings of the surroundings don't reach it, but for the variables in ``kept``. A ``quiet`` one logs warnings alone.
    """

    def __init__(self, folder: Path, announce: Announce, *, kept: Collection[str] = (), quiet: bool = False) -> None:
        self.folder = folder
        self._announce = announce
        self._environment = {**without_settings(kept), **({"XINYI_LOG_LEVEL": "WARNING"} if quiet else {})}
        self._environment.pop("FORCE_COLOR", None)  # what commands print is read here, not seen
        self.server: Popen[str] | None = None
        """The server's process, once it is :meth:`serving`."""
        self._config = folder / "xinyi.toml"
        if not self._config.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._config.write_text('data_dir = "."\n')

    def command(self, *words: str) -> str:
        """Runs ``xinyi`` with these words and gives what it prints. Raises :class:`DemoFailed`."""
        whole = ["--config", str(self._config), *words]
        self._announce(_pasteable("xinyi", *whole))
        with (
            redirect_stdout(StringIO()) as printed,
            redirect_stderr(StringIO()) as said,
            surrounded_by(self._environment),
        ):
            try:
                xinyi(whole, standalone_mode=False)
            except click.ClickException as error:
                raise DemoFailed(f"`xinyi {shlex.join(words)}`: {error.format_message()}") from error
            except SystemExit as end:
                raise DemoFailed(f"`xinyi {shlex.join(words)}`: {said.getvalue().strip()}") from end
        return printed.getvalue()

    def fill(self) -> None:
        """Registers the sources and imports the personas' records, through the path that real records take."""
        inbox = self.folder / "inbox"
        self.command("sandbox", "sources")
        self.command("sandbox", "generate", "--personas", "--out", str(inbox))
        for file in sorted(inbox.glob("*.ndjson")):
            if file.stat().st_size:
                self.command("records", "import", str(file), "--source", file.stem)

    def add_member(
        self, slug: str, zh: str, en: str, kind: str, redirect_uri: str, scenarios: tuple[str, ...]
    ) -> Member:
        """Registers a partner and its client, whose key pair the SDK makes."""
        keys = self.folder / "clients" / slug
        self._announce(_pasteable("xinyi-sdk", "keygen", "--out", str(keys)))
        with redirect_stdout(StringIO()):
            xinyi_sdk(["keygen", "--out", str(keys)])
        about = ["--name-zh", zh, "--name-en", en, "--kind", kind, "--contact", f"privacy@{slug}.example"]
        partner = self.command("partners", "add", *about).strip()
        words = ["clients", "add", "--partner", partner, "--name", slug, "--jwks", str(keys / "jwks.json")]
        words += ["--redirect-uri", redirect_uri]
        for scenario in scenarios:
            words += ["--scenario", scenario]
        client = self.command(*words).strip()
        member = Member(f"{zh} · {en}", client, str(keys / "private-key.pem"), redirect_uri)
        (keys / "client.json").write_text(json.dumps(asdict(member), ensure_ascii=False, indent=2), "utf-8")
        return member

    def member(self, slug: str) -> Member | None:
        """The member that was added as ``slug``, if it was."""
        file = self.folder / "clients" / slug / "client.json"
        return Member(**json.loads(file.read_text("utf-8"))) if file.exists() else None

    @contextmanager
    def serving(self, *words: str) -> Iterator[str]:
        """The real server in a process of its own, until the block ends; gives its address.

        Raises :class:`DemoFailed` with the server's own words when it doesn't start.
        """
        whole = ["--config", str(self._config), "serve", *words]
        self._announce(_pasteable("xinyi", *whole))
        command = [executable, "-m", "xinyi", *whole]
        environment = {**self._environment, "PYTHONUTF8": "1"}
        server = self.server = Popen(command, stderr=PIPE, encoding="utf-8", env=environment)  # noqa: S603 (our own words)
        assert server.stderr is not None
        with server.stderr as lines:
            relay = Thread(target=lambda: stderr.writelines(lines))
            try:
                url = _address(lines)
                relay.start()
                yield url
            finally:
                server.terminate()
                server.wait()
                if relay.is_alive():
                    relay.join()


def _pasteable(program: str, *words: str) -> str:
    path = _PROGRAMS / program
    here = Path.cwd()
    return shlex.join([str(path.relative_to(here) if path.is_relative_to(here) else path), *words])


def _address(lines: IO[str]) -> str:
    """The address that a starting server prints."""
    said = []
    for line in lines:
        if line.startswith("xinyi sandbox: "):
            return line.split()[-1]
        said.append(line)
    raise DemoFailed("".join(said).strip().removeprefix("Error: ") or "the server didn't start")
