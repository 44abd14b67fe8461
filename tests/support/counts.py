"""Closing lines that say how many tests of each kind ran, and what some of them counted or measured."""

from collections import Counter
from pathlib import Path

import pytest

KINDS = ("unit", "property", "api", "flow", "fault", "browser")
"""Named first and always, so that a kind without tests shows as 0."""
FOLDERS = {"flows": "flow", "faults": "fault"}
"""Folders that are called otherwise than the kind of their tests."""
TOLD = "told"
"""The property of a report that carries a line from the process that ran the test."""


class Counts:
    """Counts each test that passed or failed under the folder it lies in."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.told: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.outcome != "skipped":
            self.ran[kind_of(report.nodeid)] += 1
            self.told += [str(line) for name, line in report.user_properties if name == TOLD]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        others = sorted(self.ran.keys() - set(KINDS))
        counted = ", ".join(f"{kind} {self.ran[kind]}" for kind in (*KINDS, *others))
        terminalreporter.section("tests by kind")
        terminalreporter.line(counted)
        if self.told:
            terminalreporter.section("counted and measured")
            for line in self.told:
                terminalreporter.line(line)


def kind_of(nodeid: str) -> str:
    """``tests/unit/kernel/test_ids.py::…`` is ``unit``."""
    folder = Path(nodeid.partition("::")[0]).parts[1]
    return FOLDERS.get(folder, folder)
