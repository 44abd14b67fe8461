"""``xinyi sandbox`` as an operator types it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xinyi.cli import main
from xinyi.sandbox.sources import SOURCES


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path / "var"))


def generate(*options: str) -> Result:
    return CliRunner().invoke(main, ["sandbox", "generate", "--subjects", "20", "--seed", "7", *options])


def test_what_is_generated_goes_to_the_inbox_and_where_that_is_is_said(tmp_path: Path) -> None:
    result = generate()
    assert result.exit_code == 0, result.output
    inbox = tmp_path / "var" / "inbox"
    assert {path.stem for path in inbox.iterdir()} == {source.id for source in SOURCES}
    counts = {path: len(path.read_bytes().splitlines()) for path in inbox.iterdir()}
    written = [f"{path}: {count} 行 / {count} rows" for path, count in counts.items()]
    assert sorted(result.stdout.splitlines()) == sorted(written)


def test_one_sources_rows_go_to_standard_output(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    assert generate("--out", str(folder)).exit_code == 0
    result = generate("--source", "utilities")
    assert result.stdout_bytes == (folder / "utilities.ndjson").read_bytes()
    assert not (tmp_path / "var" / "inbox").exists()


def test_standard_output_takes_one_source_only() -> None:
    assert generate("--out", "-").exit_code == 2
