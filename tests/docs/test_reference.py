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
from xinyi_sdk.cli import main as sdk_main

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sdk/*.md"), *ROOT.glob("scenarios/*.md")]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)]*))?\)")
FENCED = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SHELL = ("", "sh", "console")
INLINE = re.compile(r"`((?:xinyi-sdk|xinyi|make) [^`\n]+)`")
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(xinyi-sdk|xinyi|make) +(.+)")


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


def anchors(page: Path) -> set[str]:
    """What a link to a part of the page can name: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_to_a_file_and_to_a_part_of_it(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        if "://" not in target:
            file = page.parent / target if target else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_that_a_page_prints_exists_with_its_options(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text("utf-8")
    blocks = [block.replace("\\\n", " ") for language, block in FENCED.findall(text) if language in SHELL]
    printed = [line.strip() for block in blocks for line in block.splitlines()]
    for line in [*printed, *INLINE.findall(text)]:
        if found := COMMAND.match(line):
            program, words = found[1], found[2].partition("#")[0].split()
            match program:
                case "xinyi":
                    known = options_of(main, words)
                case "xinyi-sdk":
                    known = options_of_sdk(words, capsys)
                case _:
                    known = set()
                    assert not words or "=" in words[0] or f"\n{words[0]}: " in MAKEFILE, line
            given = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
            assert known is not None, line
            assert given <= known, line


def options_of(command: click.Command, words: list[str]) -> set[str] | None:
    """The options of the command that the words begin with; None when there is no such command."""
    while isinstance(command, click.Group) and words and re.match("[a-z]", words[0]):
        name, *words = words
        if name not in command.commands:
            return None
        command = command.commands[name]
    return {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}


def options_of_sdk(words: list[str], capsys: pytest.CaptureFixture[str]) -> set[str] | None:
    """The same of the SDK's program, by what it says when it is asked for help."""
    with pytest.raises(SystemExit) as end:
        sdk_main([*(word for word in words if not word.startswith("-")), "--help"])
    return None if end.value.code else set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


@pytest.mark.parametrize("folder", ["how-to", "reference", "tutorial", "explanation", "sdk"])
def test_the_index_leads_to_each_page(folder: str) -> None:
    targets = [target for target, _ in LINK.findall((ROOT / "docs" / "README.md").read_text("utf-8"))]
    if folder == "sdk":
        targets += [
            f"sdk/{target}" for target, _ in LINK.findall((ROOT / "docs" / "sdk" / "README.md").read_text("utf-8"))
        ]
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs" / folder).glob("*.md")}
    assert pages - set(targets) == set()
