"""The SDK's quickstart as a newcomer runs it: ``make sdk-demo``.

A fresh virtual environment gets the built wheel and nothing else that is ours; the example of README.md runs in it as
printed, against a sandbox, and says the decision.
"""

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE, Popen, run
from tempfile import TemporaryDirectory
from typing import Final

from demo.person import Person
from demo.sandbox import Sandbox
from demo.serve import MEMBERS
from demo.surroundings import DemoFailed, console, say_command, told_in_one_sentence, without_settings

ROOT: Final = Path(__file__).resolve().parents[1]
EXAMPLE: Final = re.compile(r"<!-- tests/docs/test_readme.py .*? -->\n```python\n(.*?)```", re.DOTALL)
BIN: Final = Path(sys.executable).parent


def main() -> None:
    """Builds, installs, asks, and prints the decision."""
    with told_in_one_sentence("sdk-demo"), TemporaryDirectory(prefix="xinyi-") as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        sandbox = Sandbox(folder / "sandbox", lambda words: None, quiet=True)
        sandbox.fill()
        bikes = sandbox.add_member("bikes", *MEMBERS["bikes"])
        begun = time.monotonic()
        python = folder / "environment" / "bin" / "python"
        for command in (
            ["venv", "--quiet", "--python", sys.executable, str(python.parent.parent)],
            ["pip", "install", "--quiet", "--python", str(python), str(wheel)],
        ):
            say_command(f"uv {' '.join(command)}")
            _must(str(BIN / "uv"), *command)
        with sandbox.serving("--port", "0") as url:
            variables = {
                "XINYI_SDK_BASE_URL": url,
                "XINYI_SDK_CLIENT_ID": bikes.client_id,
                "XINYI_SDK_PRIVATE_KEY_FILE": bikes.private_key,
            }
            said = ask(python, quickstart("README.md"), variables, persona="person-a")
        console.print(f"[bold]{said}[/bold]  ({time.monotonic() - begun:.0f} s from `pip install`)")


def build(folder: Path) -> Path:
    """The SDK's wheel, made with what is installed here."""
    options = ["--quiet", "--offline", "--no-build-isolation", "--python", sys.executable]
    _must(str(BIN / "uv"), "build", *options, "--out-dir", str(folder), str(ROOT / "sdk"))
    (wheel,) = folder.glob("*.whl")
    return wheel


def quickstart(readme: str) -> str:
    """The example of a README, as printed."""
    (example,) = EXAMPLE.findall((ROOT / readme).read_text("utf-8"))
    return str(example)


def ask(python: Path, example: str, variables: Mapping[str, str], *, persona: str) -> str:
    """Runs the example with ``python``, does at the browser what it asks for, and gives what it says in the end."""
    environment = {**without_settings(), "PYTHONUTF8": "1", **variables}
    environment.pop("PYTHONPATH", None)
    command = [str(python), "-c", example]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True, encoding="utf-8", env=environment) as program:  # noqa: S603 (our own words)
        assert program.stdout is not None
        asked = program.stdout.readline()
        if "http" not in asked:
            raise DemoFailed("the example ended before it asked anything")
        person = Person(variables["XINYI_SDK_BASE_URL"])
        person.visit(asked.split()[-1])
        person.press("persona", persona)
        back = person.press("decision", "agree")
        person.close()
        rest, _ = program.communicate(f"{back}\n", timeout=60)
    if program.returncode:
        raise DemoFailed(f"the example ended with status {program.returncode}")
    return rest.rpartition(":")[2].strip()


def _must(*command: str) -> None:
    done = run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    if done.returncode:
        raise DemoFailed(f"`{' '.join(command[:3])} …`: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
