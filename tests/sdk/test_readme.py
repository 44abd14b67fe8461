"""The README's other examples run as printed; its quickstart is run by ``test_packaging`` and ``tests/docs``."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from tools.sdk_errors import ROOT
from xinyi_sdk import ConsentWithdrawn, Xinyi
from xinyi_sdk.testing import FakeXinyi


def examples() -> list[str]:
    marked = re.compile(r"<!-- run by tests/sdk/test_readme.py -->\n```python\n(.*?)```", re.DOTALL)
    return marked.findall((ROOT / "sdk" / "README.md").read_text("utf-8"))


def test_the_examples_work(fake_xinyi: FakeXinyi, capsys: pytest.CaptureFixture[str]) -> None:
    with Xinyi() as xinyi:
        names: dict[str, Any] = {"xinyi": xinyi}
        errors, test = examples()
        for answers, said in (
            ("met", ""),
            ("withdrawn", "consent_withdrawn - Offer the scenario's fallback"),
            ("unavailable", "try again in None seconds"),
        ):
            exec(errors, {**names, "consent": fake_xinyi.consent("bike-deposit", answers)})  # noqa: S102
            assert capsys.readouterr().out.startswith(said)

        def deposit(consent_id: str) -> int:
            with pytest.raises(ConsentWithdrawn):
                xinyi.checks.create(scenario="bike-deposit", consent_id=consent_id, reference="R")
            return 199

        names["my_program"] = SimpleNamespace(deposit=deposit)
        exec(test, names)  # noqa: S102
        names["test_no_deposit_after_a_withdrawal"](fake_xinyi)
