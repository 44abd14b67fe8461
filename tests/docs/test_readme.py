"""The README's example does what it says, as printed, in both languages; and both say the same, of what there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.person import Person
from demo.sandbox import Sandbox
from demo.serve import MEMBERS
from xinyi.catalogue.service import Catalogue
from xinyi.scenarios.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-CN.md")
SHOWN = re.compile(r"""(?:\]\(|<img src=")([^)"#\s]+)""")
EXAMPLE = re.compile(r"<!-- tests/docs/test_readme.py .*? -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A sandbox like that of `make serve`, as the variables that it prints."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), lambda words: None)
    sandbox.fill()
    bikes = sandbox.add_member("bikes", *MEMBERS["bikes"])
    with sandbox.serving("--port", "0") as url:
        yield {
            "XINYI_SDK_BASE_URL": url,
            "XINYI_SDK_CLIENT_ID": bikes.client_id,
            "XINYI_SDK_PRIVATE_KEY_FILE": bikes.private_key,
        }


@pytest.mark.parametrize(
    ("readme", "said"),
    [
        pytest.param("README.md", ["no deposit", "the usual deposit"], id="en"),
        pytest.param("README.zh-CN.md", ["免押金", "照常交押金"], id="zh"),
    ],
)
def test_the_example_runs_as_printed(
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    readme: str,
    said: list[str],
) -> None:
    (example,) = EXAMPLE.findall((ROOT / readme).read_text("utf-8"))
    assert len([line for line in example.splitlines() if line]) <= 10
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for persona, expected in zip(("person-a", "person-d"), said, strict=True):
        person = Person(variables["XINYI_SDK_BASE_URL"])

        def decide(_prompt: str, person: Person = person, persona: str = persona) -> str:
            person.visit(capsys.readouterr().out.split()[-1])
            person.press("persona", persona)
            return person.press("decision", "agree")

        monkeypatch.setattr("builtins.input", decide)
        exec(compile(example, readme, "exec"), {})  # noqa: S102
        assert capsys.readouterr().out.strip() == expected
        person.close()


def test_both_languages_lead_to_the_same_and_show_the_same() -> None:
    english, chinese = ((ROOT / readme).read_text("utf-8") for readme in READMES)
    assert {target.replace("-en.png", ".png") for target in SHOWN.findall(english)} - {"README.zh-CN.md"} == {
        *SHOWN.findall(chinese)
    } - {"README.md"}
    for form in (r"^## ", r"^\| ", r"^- ", r"`make [a-z-]+`"):
        assert len(re.findall(form, english, re.MULTILINE)) == len(re.findall(form, chinese, re.MULTILINE)), form


def test_each_picture_is_there_and_each_that_is_there_is_shown() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        for target in SHOWN.findall(page.read_text("utf-8"))
        if target.endswith((".png", ".svg"))
    }
    assert shown == {*(ROOT / "docs" / "images").iterdir()}


@pytest.mark.parametrize("readme", READMES)
def test_it_counts_the_scenarios_that_come_with_the_product(readme: str) -> None:
    (count,) = re.findall(r"(\d+)(?: published scenarios| 个公布的应用场景)", (ROOT / readme).read_text("utf-8"))
    assert int(count) == len(Registry.load(Catalogue.load()).all())
