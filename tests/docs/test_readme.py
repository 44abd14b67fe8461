"""The README's example does what it says, as printed, in both languages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.person import Person
from demo.sandbox import Sandbox
from demo.serve import MEMBERS

ROOT = Path(__file__).resolve().parents[2]
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
