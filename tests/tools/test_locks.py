"""What set-up installs is pinned by hash, complete, and bound to no registry."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [ROOT / "requirements.lock", ROOT / "tools" / "node" / "package-lock.json", ROOT / "tools" / "node" / ".npmrc"]
PROJECTS = [ROOT / "pyproject.toml", ROOT / "sdk" / "pyproject.toml"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_names_an_address(lock: Path) -> None:
    assert "://" not in lock.read_text("utf-8")


def test_each_pin_has_its_hashes() -> None:
    pins = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text("utf-8").strip())
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.parent.name)
def test_each_dependency_is_locked(project: Path) -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = {name.lower() for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    declared = tomllib.loads(project.read_text("utf-8"))
    wanted = [*declared["project"]["dependencies"], *declared.get("dependency-groups", {}).get("dev", [])]
    names = {name[0].lower() for requirement in wanted if (name := re.match(r"[\w.-]+", requirement))}
    assert names - locked == set()
