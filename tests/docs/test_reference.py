"""The reference mentions everything there is, and nothing in the documentation points nowhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from xinyi.catalogue.model import Fault
from xinyi.cli import main
from xinyi.kernel.errors import DEFINITIONS, Definition
from xinyi.records.model import RowProblem
from xinyi.settings import Settings
from xinyi.subjects.model import IdentifierProblem

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sdk/*.md"), *ROOT.glob("scenarios/*.md")]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, with the words that call it."""
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, f"{path} {name}")
    else:
        yield path, command


def section(page: str, heading: str) -> str:
    """The text under ``## `heading` ``, up to the next heading."""
    found = re.search(rf"^##+ `{re.escape(heading)}`\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference/cli.md has no section for {heading}"
    return found[1]


@pytest.mark.parametrize(("path", "command"), [pytest.param(*item, id=item[0]) for item in commands(main, "xinyi")])
def test_each_command_and_option_is_in_the_reference(path: str, command: click.Command) -> None:
    text = section((REFERENCE / "cli.md").read_text("utf-8"), path)
    options = [option for option in command.params if isinstance(option, click.Option)]
    missing = [option.opts[0] for option in options if f"`{option.opts[0]}" not in text]
    assert not missing


@pytest.mark.parametrize("setting", msgspec.structs.fields(Settings), ids=lambda field: field.name)
def test_each_setting_is_in_the_reference(setting: msgspec.structs.FieldInfo) -> None:
    page = (REFERENCE / "settings.md").read_text("utf-8")
    assert re.search(rf"^\|[^|]*`{setting.name}`[^|]*\|", page, re.MULTILINE)


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda definition: definition.code.value)
def test_each_error_code_is_in_the_reference(definition: Definition) -> None:
    row = f"| `{definition.code}` | {definition.status} | {definition.title.en} |"
    assert row in (REFERENCE / "errors.md").read_text("utf-8")


@pytest.mark.parametrize("code", [code.value for codes in (RowProblem, Fault, IdentifierProblem) for code in codes])
def test_each_code_of_a_rejected_row_is_in_the_reference(code: str) -> None:
    assert f"\n| `{code}` | " in (REFERENCE / "import-rows.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_to_a_file(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text("utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []
