"""`xinyi records import`, `xinyi sources` and `xinyi sandbox` say what they did, and how it went by their status."""

from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.unit.records.conftest import COMPANY, ndjson, row
from xinyi.cli.records import records
from xinyi.cli.sandbox import sandbox
from xinyi.cli.sources import sources


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Runner":
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    return Runner()


class Runner:
    def __call__(self, command: click.Command, *arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(command, arguments, input=stdin, catch_exceptions=False)

    def add(self, source_id: str = "bureau", record_type: str = "SOCINS_PAID") -> Result:
        names = ("--name-zh", "示例来源", "--name-en", "Sample Source")
        return self(sources, "add", source_id, *names, "--record-type", record_type)


def test_a_file_is_imported_and_summed_up(run: Runner, tmp_path: Path) -> None:
    run.add()
    path = tmp_path / "rows.ndjson"
    path.write_bytes(ndjson([row(source_ref="a"), row(source_ref="b")]))
    result = run(records, "import", str(path), "--source", "bureau")
    assert result.exit_code == 0
    assert "2 行 / 2 rows" in result.stderr


def test_rejected_rows_show_in_the_status_and_the_report(run: Runner, tmp_path: Path) -> None:
    run.add()
    path, report = tmp_path / "rows.csv", tmp_path / "report.ndjson"
    path.write_text(
        "subject,record_type,source_ref,region,observed_at,fields.months,fields.as_of\n"
        f"{COMPANY.value},SOCINS_PAID,a,990001,2026-10-28,12,2026-09-30\n"
        f"{COMPANY.value},SOCINS_PAID,b,990001,2026-10-28,many,2026-09-30\n"
    )
    result = run(records, "import", str(path), "--source", "bureau", "--report", str(report))
    assert result.exit_code == 3
    assert [msgspec.json.decode(line) for line in report.read_bytes().splitlines()] == [
        {"line": 2, "verdict": "accepted"},
        {"line": 3, "verdict": "rejected", "member": "fields.months", "code": "wrong_type"},
    ]
    said = result.output + report.read_text()
    assert "many" not in said
    assert COMPANY.value not in said


def test_a_report_that_cannot_be_written_is_said_before_anything_is_imported(run: Runner, tmp_path: Path) -> None:
    run.add()
    path = tmp_path / "rows.ndjson"
    path.write_bytes(ndjson([row()]))
    for report, reason in ((tmp_path / "nowhere" / "report", "can't write"), (path, "is the file that is to be")):
        result = run(records, "import", str(path), "--source", "bureau", "--report", str(report))
        assert (result.exit_code, reason in result.stderr) == (2, True)
    assert path.read_bytes() == ndjson([row()])
    assert "accepted" in run(records, "import", str(path), "--source", "bureau", "--report", "report").stderr
    assert Path("report").read_bytes() == b'{"line":1,"verdict":"accepted"}\n'


def test_no_report_of_an_earlier_import_is_left_beside_an_error(run: Runner, tmp_path: Path) -> None:
    run.add()
    path, report = tmp_path / "rows.ndjson", tmp_path / "report"
    path.write_bytes(ndjson([row()]))
    assert run(records, "import", str(path), "--source", "bureau", "--report", str(report)).exit_code == 0
    assert report.exists()
    assert run(records, "import", str(path), "--source", "nobody", "--report", str(report)).exit_code == 1
    assert {each.name for each in tmp_path.iterdir()} == {"rows.ndjson", "var"}


def test_standard_input_is_imported(run: Runner) -> None:
    run.add()
    result = run(records, "import", "-", "--source", "bureau", stdin=ndjson([row()]))
    assert result.exit_code == 0
    assert ": 1 行 / 1 row " in result.stderr


def test_an_unknown_source_or_a_bad_header_ends_it(run: Runner, tmp_path: Path) -> None:
    result = run(records, "import", "-", "--source", "nobody", stdin=ndjson([row()]))
    assert (result.exit_code, "source" in result.stderr) == (1, True)
    run.add()
    result = run(records, "import", "-", "--source", "bureau", "--format", "csv", stdin=b"a,b\n1,2\n")
    assert (result.exit_code, "header" in result.stderr) == (1, True)


def test_sources_are_added_listed_and_disabled(run: Runner) -> None:
    assert run.add("bureau").stdout == "信息提供单位 / source: bureau\n"
    assert run.add("bureau").exit_code == 1
    assert run.add("other", "NO_SUCH").exit_code == 1
    assert "示例来源" in run(sources, "list").output
    assert run(sources, "disable", "bureau", "--reason", "it moves").exit_code == 0
    result = run(records, "import", "-", "--source", "bureau", stdin=ndjson([row()]))
    assert (result.exit_code, "suspended" in result.stderr) == (1, True)
    assert run(sources, "enable", "bureau", "--reason", "it has moved").exit_code == 0
    assert run(sources, "disable", "nobody", "--reason", "it moves").exit_code == 1


def test_personas_are_imported_through_the_same_door(run: Runner, tmp_path: Path) -> None:
    run(sandbox, "sources")
    out = tmp_path / "out"
    assert run(sandbox, "generate", "--personas", "--subjects", "20", "--out", str(out)).exit_code == 0
    files = sorted(out.iterdir())
    assert files
    for path in files:
        assert run(records, "import", str(path), "--source", path.stem).exit_code == 0


def test_what_to_generate_must_be_said(run: Runner) -> None:
    assert run(sandbox, "generate").exit_code == 2
