"""The page about the house knows the rooms that there are, in their order."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_rooms_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (rooms,) = (contract for contract in contracts if contract["type"] == "layers")
    layers = [set(layer.split(" | ")) for layer in rooms["layers"] if layer != "__main__"]
    page = (ROOT / "docs" / "explanation" / "house.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.+?`) \| ", page, re.MULTILINE)
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == layers
