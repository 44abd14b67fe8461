"""What the build adds to the source: the scenarios' own cases, which ``xinyi_sdk.testing`` answers from.

The YAML files of ``scenarios/`` are their one source. A wheel made from a checkout takes them from there, and the
source distribution carries the same result along, so that a wheel made from it holds it too.
"""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CASES = "src/xinyi_sdk/testing/cases.json"


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds ``xinyi_sdk/testing/cases.json``; an editable install reads ``scenarios/`` itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        carried = Path(self.root) / CASES
        folder = Path(self.root).parent / "scenarios" / "incentives"
        name = CASES if self.target_name == "sdist" else CASES.removeprefix("src/")
        if carried.exists():
            build_data["force_include"][str(carried)] = name
            return
        self._made = TemporaryDirectory()
        file = Path(self._made.name) / "cases.json"
        file.write_text(json.dumps(_compiled(folder), ensure_ascii=False, sort_keys=True), "utf-8")
        build_data["force_include"][str(file)] = name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable" and hasattr(self, "_made"):
            self._made.cleanup()


def _compiled(folder: Path) -> dict[str, Any]:
    """As :func:`xinyi_sdk.testing._cases.compiled`; the package itself, and what it needs, isn't there yet."""
    spec = spec_from_file_location("cases", Path(__file__).parent / "src" / "xinyi_sdk" / "testing" / "_cases.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    compiled: dict[str, Any] = module.compiled(folder)
    return compiled
