"""The page about OAuth names the endpoints that there are, and tests that there are."""

import ast
import re
from pathlib import Path

import pytest

from xinyi.oauth import metadata
from xinyi.oauth.token import GRANT_TYPES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "oauth.md").read_text("utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)))


@pytest.mark.parametrize("test", TESTS)
def test_each_test_that_is_named_exists(test: str):
    path, _, name = test.partition("::")
    defined = ast.parse((ROOT / path).read_text("utf-8")).body
    names = {each.name for each in defined if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    assert not name or name in names


def test_each_endpoint_and_grant_is_named():
    told = metadata.authorization_server("https://credit.example")
    endpoints = {
        value.removeprefix("https://credit.example") for key, value in told.items() if key.endswith("endpoint")
    }
    endpoints |= {metadata.AUTHORIZATION_SERVER, metadata.PROTECTED_RESOURCE, metadata.JWKS}
    assert [path for path in endpoints if f" {path}`" not in PAGE] == []
    assert [grant for grant in GRANT_TYPES if f"`{grant}`" not in PAGE] == []
