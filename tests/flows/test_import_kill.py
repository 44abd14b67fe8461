"""An import that is killed loses nothing that it told as stored, and the same command completes it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, text

ROWS = 30_000
XINYI = [sys.executable, "-c", "from xinyi.cli import main; main()"]
"""The command, by this interpreter."""


class Installation:
    """A sandbox in a folder of its own, driven by the real command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        variables = {name: value for name, value in os.environ.items() if not name.startswith("XINYI_")}
        self._environ = {**variables, "XINYI_DATA_DIR": str(folder / "var")}
        folder.mkdir()
        self.run("sandbox", "sources")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*XINYI, *arguments], cwd=self.folder, env=self._environ, capture_output=True, text=True, timeout=120
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        # A shell's background job ignores SIGINT, and so would its children: here they are to hear it.
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            return subprocess.Popen(
                [*XINYI, *arguments], cwd=self.folder, env=self._environ, stderr=subprocess.PIPE, text=True
            )
        finally:
            signal.signal(signal.SIGINT, before)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        engine = create_engine(f"sqlite:///{self.folder / 'var' / 'xinyi.sqlite3'}")
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(sql))]
        finally:
            engine.dispose()

    def content(self) -> list[tuple[Any, ...]]:
        """All that sources said, without the numbers that differ between two installations."""
        return self.query(
            "SELECT source_id, source_ref, record_type, region, observed_at, valid_until, fields, digest "
            "FROM records ORDER BY source_id, source_ref"
        )


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of one source in which every hundredth row is bad."""
    folder = tmp_path_factory.mktemp("rows")
    made = subprocess.run(
        [*XINYI, "sandbox", "generate", "--subjects", "24000", "--source", "utilities", "--today", "2026-11-02"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    lines = made.stdout.splitlines(keepends=True)[:ROWS]
    assert len(lines) == ROWS
    lines[::100] = [b'{"subject": "nobody"}\n'] * len(lines[::100])
    path = folder / "utilities.ndjson"
    path.write_bytes(b"".join(lines))
    return path


def stopped(installation: Installation, rows: Path, with_signal: signal.Signals) -> tuple[int, str]:
    """Stops an import once it has told a line as stored; gives that line, and what it said after that."""
    process = installation.start("records", "import", str(rows), "--source", "utilities")
    told = 0
    try:
        assert process.stderr is not None
        while not told:
            line = process.stderr.readline()
            assert line, "the import ended before it was stopped"
            if found := re.fullmatch(r"已存到第 \d+ 行 / stored up to line (\d+)\n", line):
                told = int(found[1])
        os.kill(process.pid, with_signal)
    finally:
        _, said = process.communicate(timeout=30)
    return told, said


@pytest.fixture
def killed(rows: Path, tmp_path: Path) -> tuple[Installation, int]:
    """An installation whose import was killed, and the last line that it had told as stored."""
    installation = Installation(tmp_path / "killed")
    told, _ = stopped(installation, rows, signal.SIGKILL)
    return installation, told


def test_an_interrupted_import_says_what_is_stored_and_how_to_go_on(rows: Path, tmp_path: Path) -> None:
    installation = Installation(tmp_path / "interrupted")
    told, said = stopped(installation, rows, signal.SIGINT)
    [(lines,)] = installation.query("SELECT lines FROM record_batches")
    found = re.search(r"interrupted, stored up to line (\d+): the same command goes on there\n", said)
    assert found, said
    assert told <= int(found[1]) <= lines
    assert "Traceback" not in said
    assert (
        f"goes on after line {lines}"
        in installation.run("records", "import", str(rows), "--source", "utilities").stderr
    )


def test_a_killed_import_keeps_what_it_told_and_completes_on_the_next_run(
    killed: tuple[Installation, int], rows: Path, tmp_path: Path
) -> None:
    installation, told = killed
    [(lines, accepted, rejected, finished)] = installation.query(
        "SELECT lines, accepted, rejected, finished_at FROM record_batches"
    )
    assert told <= lines < ROWS
    assert finished is None
    assert (accepted, rejected) == (lines - lines // 100, lines // 100)
    refs = {row[0] for row in installation.query("SELECT source_ref FROM records")}
    sent = [msgspec.json.decode(line) for line in rows.read_bytes().splitlines()[:lines]]
    assert refs == {row["source_ref"] for row in sent if "source_ref" in row}

    report = tmp_path / "report.ndjson"
    again = installation.run("records", "import", str(rows), "--source", "utilities", "--report", str(report))
    assert again.returncode == 3, again.stderr
    assert f"goes on after line {lines}" in again.stderr
    [(total, accepted, rejected)] = installation.query("SELECT lines, accepted, rejected FROM record_batches")
    assert (total, accepted, rejected) == (ROWS, ROWS - ROWS // 100, ROWS // 100)

    verdicts = [msgspec.json.decode(line) for line in report.read_bytes().splitlines()]
    assert [verdict["line"] for verdict in verdicts] == list(range(1, ROWS + 1))
    assert sum(verdict["verdict"] == "rejected" for verdict in verdicts) == ROWS // 100

    clean = Installation(tmp_path / "clean")
    assert clean.run("records", "import", str(rows), "--source", "utilities").returncode == 3
    assert installation.content() == clean.content()
