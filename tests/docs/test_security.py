"""The threat model names tests that are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def test_each_row_of_the_threat_model_names_a_test():
    rows = [line for line in TEXT.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 12
    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py::\w+` *[|,]", row)] == []


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_each_named_test_exists(file: str, test: str):
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
