"""``xinyi scenarios``: check the data list and the scenarios, and export their schemas."""

from pathlib import Path

import click
from rich.text import Text

from ..catalogue.files import FileError, Problem
from ..catalogue.location import scenarios_dir
from ..catalogue.service import Catalogue
from ..scenarios.load import ScenarioFile, load_behaviours, load_file, load_folder
from ..scenarios.schema import outdated, write
from .tables import show_table
from .words import both, named, say


@click.group()
def scenarios() -> None:
    """The data list, the scenarios and their cases."""


@scenarios.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Lint scenario files and run their cases.

    PATH is a scenario file, a folder of them, or a folder with record-types/ and incentives/ in it; the default is the
    set that comes with the product. Record types are taken from the nearest folder that has record-types/ in it.
    Exits with status 1, and FILE:LINE: on standard error for each problem, when anything is wrong.
    """
    files: list[ScenarioFile] = []
    problems: list[Problem] = []
    for path in paths or (scenarios_dir(),):
        try:
            found = _load(path.resolve())
        except FileError as error:
            problems += error.problems
        else:
            if path.is_dir() and not found:
                raise click.BadParameter(both("没有应用场景文件", f"{path} holds no scenario file"), param_hint="PATH")
            files += found
    problems += [problem for file in files for problem in file.problems]
    if files:
        _show(files)
    for problem in sorted(set(problems)):
        click.echo(_relative(problem), err=True)
    if problems:
        raise SystemExit(1)
    cases = sum(len(file.cases) for file in files)
    say(
        f"应用场景：已检查 {len(files)} 个，{cases} 个用例均相符",
        f"scenarios: {len(files)} checked, {cases} cases borne out",
    )


@scenarios.command()
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; exit with status 1 when a file is out of date."
)
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where the schemas lie; the default is schema/ in the set."
)
def schema(only_check: bool, folder: Path | None) -> None:
    """Export the JSON Schemas with which editors help to write these files."""
    folder = folder or scenarios_dir() / "schema"
    if only_check:
        stale = outdated(folder)
        if stale:
            raise click.ClickException(
                both("模式文件已过时", f"out of date, run `xinyi scenarios schema`: {', '.join(stale)}")
            )
        say("模式文件均为最新", "schemas: up to date")
        return
    for path in write(folder):
        click.echo(str(path))


def _load(path: Path) -> list[ScenarioFile]:
    """The scenario files that ``path`` means. Raises :class:`FileError` when the record types can't be used."""
    root = next((folder for folder in (path, *path.parents) if (folder / "record-types").is_dir()), scenarios_dir())
    catalogue = Catalogue.load(root)
    if path.is_file():
        if path.parent == root / "record-types":
            return []
        return [load_file(path.with_name(path.name.replace(".cases.yaml", ".yaml")), catalogue)]
    if (path / "incentives").is_dir():
        load_behaviours(path / "behaviours.yaml")
        path = path / "incentives"
    return load_folder(path, catalogue)


def _show(files: list[ScenarioFile]) -> None:
    numbers = ["version", "criteria", "units", "cases"]
    show_table(["scenario", "name", *numbers, "result"], [_row(file) for file in files], numeric=numbers)


def _row(file: ScenarioFile) -> tuple[str | Text, ...]:
    mark = Text("✗", "red") if file.problems else Text("✓", "green")
    scenario = file.scenario
    if scenario is None:
        return (file.path.stem, "", "", "", "", "", mark)
    counts = (scenario.version, len(scenario.criteria), len(scenario.units), len(file.cases))
    return (scenario.id, named(scenario.name), *map(str, counts), mark)


def _relative(problem: Problem) -> str:
    """The problem with a path as short as it can be clicked on."""
    here = Path.cwd()
    path = problem.path.relative_to(here) if problem.path.is_relative_to(here) else problem.path
    return str(Problem(path, problem.line, problem.message))
