"""What is published: built twice the same, installed where nothing else is, and enough for the quickstart."""

import os
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from demo import sdk as demo
from demo.sandbox import Sandbox
from demo.serve import MEMBERS

SDK = demo.ROOT / "sdk"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as the release is: the source distribution, and the wheel from that."""
    return demo.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def source(wheel: Path) -> Path:
    (found,) = wheel.parent.glob("*.tar.gz")
    return found


def needed(distribution: str) -> Iterator[str]:
    """The distributions that one needs, and those that they need."""
    for text in metadata.requires(distribution) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name
            yield from needed(requirement.name)


def uv(*words: str) -> None:
    run = subprocess.run([demo.BIN / "uv", *words], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and the three libraries that it names, and theirs; no index is asked."""
    folder = tmp_path_factory.mktemp("environment") / "environment"
    uv("venv", "--quiet", "--offline", "--python", sys.executable, str(folder))
    python = folder / "bin" / "python"
    uv("pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel))
    (site,) = folder.glob("lib/python*/site-packages")
    for name in set(needed("xinyi-sdk")):
        for file in metadata.files(name) or []:
            top = site / file.parts[0]
            if file.parts[0] != ".." and not top.exists():
                top.symlink_to(Path(str(metadata.distribution(name).locate_file(file.parts[0]))))
    return python


def run(program: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(program), *words], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wheel_from_the_checkout_is_the_one_from_the_source_distribution(wheel: Path, tmp_path: Path) -> None:
    options = ["--quiet", "--offline", "--no-build-isolation", "--python", sys.executable]
    uv("build", "--wheel", *options, "--out-dir", str(tmp_path), str(SDK))
    (direct,) = tmp_path.glob("*.whl")
    assert contents(direct) == contents(wheel)
    assert contents(wheel).keys() >= {"xinyi_sdk/py.typed", "xinyi_sdk/testing/cases.json"}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_source_distribution_holds_what_a_reader_looks_for(source: Path) -> None:
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "pyproject.toml",
        "hatch_build.py",
        "examples/flask_app.py",
    }
    assert not [name for name in names if "__pycache__" in name]
    assert (SDK / "LICENSE").read_bytes() == (demo.ROOT / "LICENSE").read_bytes()


def test_it_works_where_nothing_else_is_installed(python: Path) -> None:
    code = """
import xinyi_sdk, sys
from xinyi_sdk.testing import FakeXinyi
fake = FakeXinyi()
consent = fake.consent("microloan-prescreen")
with fake.client() as client:
    answer = client.checks.create(scenario="microloan-prescreen", consent_id=consent.id, reference="R")
    print(answer.outcome, answer.receipt.verify(reference="R").outcome, "yaml" in sys.modules)
"""
    assert run(python, "-c", code).split() == ["met", "met", "False"]
    assert run(python, "-c", "import xinyi_sdk; print(xinyi_sdk.__file__)").startswith(str(python.parent.parent))
    assert run(python.parent / "xinyi-sdk", "--version").strip() == f"xinyi-sdk {metadata.version('xinyi-sdk')}"
    with pytest.raises(AssertionError, match="No module named 'pytest'"):
        run(python, "-c", "import pytest")


def test_the_quickstart_reaches_a_decision_within_two_minutes_of_pip_install(
    python: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """The environment was made just before; what a slow line adds is not counted here."""
    sandbox = Sandbox(tmp_path, lambda words: None)
    sandbox.fill()
    bikes = sandbox.add_member("bikes", *MEMBERS["bikes"])
    with sandbox.serving("--port", "0") as url:
        variables = {
            "XINYI_SDK_BASE_URL": url,
            "XINYI_SDK_CLIENT_ID": bikes.client_id,
            "XINYI_SDK_PRIVATE_KEY_FILE": bikes.private_key,
        }
        begun = time.monotonic()
        assert demo.ask(python, demo.quickstart("README.md"), variables, persona="person-a") == "no deposit"
        seconds = time.monotonic() - begun
    tell(f"the SDK's quickstart: {seconds:.1f} s")
    assert seconds < 60


def test_the_quickstart_is_the_same_in_both_readmes_and_at_most_ten_lines() -> None:
    example = demo.quickstart("README.md")
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    assert example == demo.quickstart("sdk/README.md")


def test_the_types_are_complete_for_whoever_installs_it(python: Path) -> None:
    """``make types`` says the same of the checkout; here it is what is installed."""
    environment = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [str(demo.BIN / "basedpyright"), "--verifytypes", "xinyi_sdk", "--ignoreexternal"]
    checked = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=python.parent.parent
    )
    assert "Type completeness score: 100%" in checked.stdout, checked.stdout
    assert checked.returncode == 0
    assert f"{python.parent.parent}" in checked.stdout


def test_the_version_and_the_changelog_agree() -> None:
    headings = re.findall(r"^## (.+)$", (SDK / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0].startswith(metadata.version("xinyi-sdk"))
    assert metadata.version("xinyi-sdk") in {heading.split()[0] for heading in headings}
