"""The scenarios and their cases, as the fake platform tells them.

Their one source are the YAML files of ``scenarios/incentives``. A built package carries what :func:`compiled` makes of
them; in a checkout, where nothing was built, they are read themselves. The build loads this file alone: it imports
nothing of the package.
"""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

DURATION: Final = re.compile(r"(\d+)([dhm])")
CHECKOUT: Final = Path(__file__).parents[4] / "scenarios" / "incentives"


@cache
def scenarios() -> Mapping[str, Mapping[str, Any]]:
    """By scenario id: ``view``, the scenario as the API shows it, and ``cases``, by id."""
    built = files(__package__).joinpath("cases.json")
    found: Mapping[str, Mapping[str, Any]] = (
        json.loads(built.read_text("utf-8")) if built.is_file() else compiled(CHECKOUT)
    )
    return found


def compiled(folder: Path) -> dict[str, dict[str, Any]]:
    """What the fake needs of a folder of scenarios in their current versions."""
    import yaml

    found = {}
    for file in sorted(folder.glob("*.cases.yaml")):
        written = yaml.safe_load(file.read_text("utf-8"))
        scenario = yaml.safe_load((folder / f"{written['scenario']}.yaml").read_text("utf-8"))
        told = ("id", "covers", "title", "outcome", "criteria", "disclosed")
        cases = {
            case["id"]: {"criteria": {}, "disclosed": {}} | {name: case[name] for name in told if name in case}
            for case in written["cases"]
        }
        found[scenario["id"]] = {"view": _view(scenario), "cases": cases}
    return found


def _view(written: Mapping[str, Any]) -> dict[str, Any]:
    criteria = [_criterion(each) for each in written["criteria"]]
    view = {
        **written,
        "published": True,
        "criteria": criteria,
        "answer_ttl": _iso(written["answer_ttl"]),
        "units": sorted(unit for each in criteria for unit in _units(each)),
    }
    canonical = json.dumps(view, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return {**view, "digest": f"sha-256:{_base64url(hashlib.sha256(canonical).digest())}"}


def _criterion(written: Mapping[str, Any]) -> dict[str, Any]:
    missing: dict[str, Any] = {"test": {}, "disclose": "none", "fields": [], "bands": {}, "disclosure_reason": None}
    return {**missing, **written, "max_age": _iso(written["max_age"])}


def _units(criterion: Mapping[str, Any]) -> list[str]:
    """What may be told about a criterion: itself, and each of its fields that is shown."""
    if criterion["disclose"] == "none":
        return []
    return [criterion["id"], *(f"{criterion['id']}.{name}" for name in (*criterion["fields"], *criterion["bands"]))]


def _iso(duration: str) -> str:
    found = DURATION.fullmatch(duration)
    assert found, duration
    return f"P{found[1]}D" if found[2] == "d" else f"PT{found[1]}{found[2].upper()}"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
