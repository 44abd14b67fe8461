"""``pytest -p tests.security.fapi2.table tests/security/fapi2``: a run that writes ``docs/reference/fapi2.md``."""

import ast
from pathlib import Path

import pytest

from tests.security.fapi2.plan import MODULES, PAGE, page, test_name

_results: dict[str, str] = {}


def tests() -> dict[str, tuple[str, bool]]:
    """The tests of modules: the file of each, and whether it is run for both plans."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_fapi2_"):
                found[node.name] = (path.name, "plan" in {argument.arg for argument in node.args.args})
    return found


tests.__test__ = False  # type: ignore[attr-defined]  # pytest takes everything that begins like a test


def rendered(results: dict[str, str]) -> str:
    """The page, if the tests came out like this."""
    return page({name: file for name, (file, _) in tests().items()}, results)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The page is compared by other runs than the one that writes it."""
    items[:] = [item for item in items if item.path.name != "test_page.py"]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Of a test that ran for two plans or on two pairs, the worst counts."""
    name = report.nodeid.rpartition("::")[2].partition("[")[0]
    if not report.passed:
        _results[name] = report.outcome
    elif report.when == "call":
        _results.setdefault(name, report.outcome)


def pytest_sessionfinish() -> None:
    known = {test_name(module) for module in MODULES}
    PAGE.write_text(rendered({name: result for name, result in _results.items() if name in known}), "utf-8")
