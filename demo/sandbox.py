"""A sandbox made with the operator's own commands: sources, records, two partners with keys of their own."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from subprocess import PIPE, Popen
from sys import executable, stderr
from threading import Thread
from typing import IO

from xinyi.cli import main as xinyi
from xinyi_sdk.cli import main as xinyi_sdk

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Member:
    """A partner with one client: what its developers hold."""

    name: str
    client_id: str
    private_key: str
    redirect_uri: str


class Sandbox:
    """An installation in ``folder``. Each command is told to ``announce`` before it runs."""

    def __init__(self, folder: Path, announce: Announce) -> None:
        self.folder = folder
        self._announce = announce
        self._config = folder / "xinyi.toml"
        if not self._config.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._config.write_text(f"data_dir = {json.dumps(str(folder))}\n")

    def command(self, *words: str) -> str:
        """Runs ``xinyi`` with these words and gives what it prints."""
        self._announce("xinyi " + " ".join(self._short(word) for word in words))
        with redirect_stdout(StringIO()) as printed, redirect_stderr(printed):
            try:
                xinyi(["--config", str(self._config), *words], standalone_mode=False)
            except SystemExit as end:
                raise RuntimeError(printed.getvalue()) from end
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
        self._announce(f"xinyi-sdk keygen --out {self._short(str(keys))}")
        with redirect_stdout(StringIO()):
            xinyi_sdk(["keygen", "--out", str(keys)])
        about = ("--name-zh", zh, "--name-en", en, "--kind", kind, "--contact", f"privacy@{slug}.example")
        partner = self.command("partners", "add", *about).strip()
        words = ["clients", "add", "--partner", partner, "--name", slug, "--jwks", str(keys / "jwks.json")]
        words += ["--redirect-uri", redirect_uri]
        for scenario in scenarios:
            words += ["--scenario", scenario]
        client = self.command(*words).strip()
        member = Member(f"{zh} · {en}", client, str(keys / "private-key.pem"), redirect_uri)
        (keys / "client.json").write_text(json.dumps(asdict(member), ensure_ascii=False, indent=2))
        return member

    def member(self, slug: str) -> Member | None:
        """The member that was added as ``slug``, if it was."""
        file = self.folder / "clients" / slug / "client.json"
        return Member(**json.loads(file.read_text())) if file.exists() else None

    @contextmanager
    def serving(self, *words: str) -> Iterator[str]:
        """The real server in a process of its own, until the block ends; gives its address."""
        command = [executable, "-m", "xinyi", "--config", str(self._config), "serve", *words]
        self._announce("xinyi " + " ".join(["serve", *words]))
        server = Popen(command, stderr=PIPE, text=True)  # noqa: S603 (our own words)
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

    def _short(self, word: str) -> str:
        return word.replace(str(self.folder), self.folder.name)


def _address(lines: IO[str]) -> str:
    """The address that a starting server prints; what it prints before is passed on."""
    for line in lines:
        if line.startswith("xinyi sandbox: "):
            return line.split()[-1]
        stderr.write(line)
    raise RuntimeError("the server didn't start")
