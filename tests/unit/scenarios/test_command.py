"""``xinyi scenarios``."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.unit.scenarios.conftest import Workshop
from xinyi.cli.scenarios import scenarios


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(scenarios, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_set_of_the_product_passes() -> None:
    result = run("check")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "bike-deposit" in result.stdout
    assert "信易行·共享单车免押" in result.stdout
    assert "scenarios: 17 checked, " in result.stdout


def test_a_folder_is_checked_against_its_own_record_types(workshop: Workshop) -> None:
    assert run("check", workshop.folder).exit_code == 0
    workshop.change(workshop.folder / "record-types" / "redlist.yaml", "fields:", "enabled: false\nfields:")
    result = run("check", workshop.folder / "incentives")
    assert result.exit_code == 1
    assert "REDLIST is off" in result.stderr


def test_each_problem_names_its_file_and_line(workshop: Workshop) -> None:
    line = workshop.change(workshop.scenario, "max_days: 90", "max_days: 400")
    result = run("check", workshop.scenario)
    assert result.exit_code == 1
    assert f"{workshop.scenario}:{line}: expected `int` <= 365" in result.stderr
    assert "✗" in result.stdout


def test_a_file_of_cases_means_its_scenario(workshop: Workshop) -> None:
    line = workshop.change(workshop.cases, "outcome: met", "outcome: not_evidenced")
    result = run("check", workshop.cases)
    assert result.exit_code == 1
    assert f"{workshop.cases}:{line}: case `met`: the outcome is met" in result.stderr


def test_a_record_type_that_is_wrong_stops_everything(workshop: Workshop) -> None:
    path = workshop.folder / "record-types" / "aeo.yaml"
    line = workshop.change(path, "polarity: positive", "polarity: negative")
    for argument in (path, workshop.folder, workshop.scenario):
        result = run("check", argument)
        assert result.exit_code == 1
        assert f"{path}:{line}: " in result.stderr


def test_paths_are_as_short_as_they_can_be(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    line = workshop.change(workshop.scenario, "retention_days: 30", "retention_days: 0")
    monkeypatch.chdir(workshop.folder)
    assert run("check", "incentives/sample.yaml").stderr.startswith(f"incentives/sample.yaml:{line}: ")


def test_a_path_that_is_not_there_is_a_usage_error() -> None:
    assert run("check", "no-such-folder").exit_code == 2


def test_a_folder_without_scenarios_is_a_usage_error(tmp_path: Path) -> None:
    result = run("check", tmp_path)
    assert result.exit_code == 2
    assert "holds no scenario file" in result.stderr


def test_schemas_are_written_and_checked(tmp_path: Path) -> None:
    assert run("schema", "--check", "--folder", tmp_path).exit_code == 1
    assert run("schema", "--folder", tmp_path).exit_code == 0
    assert run("schema", "--check", "--folder", tmp_path).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "behaviours.json",
        "cases.json",
        "dispute-deadlines.json",
        "record-type.json",
        "scenario.json",
        "working-days.json",
    }
