"""Settings that can't be meant are refused, and named."""

from typing import Any

import pytest

from tests.support.production import PRODUCTION
from xinyi.settings import Settings, SettingsError

OPERATOR = ("operator_name_zh", "operator_name_en", "operator_contact")


def production(**more: Any) -> Settings:
    given = {**PRODUCTION, **more}
    return Settings(**{name: value for name, value in given.items() if value is not None})


def test_production_runs_under_its_operators_name():
    assert production().operator_name_zh == "示例市信用中心"


@pytest.mark.parametrize("setting", OPERATOR)
@pytest.mark.parametrize("value", [None, "", " "])
def test_production_never_goes_by_the_sandboxs_operator(setting: str, value: str | None):
    with pytest.raises(SettingsError, match=f"{setting} must be set in production"):
        production(**{setting: value})


def test_the_sandbox_needs_no_settings():
    assert Settings().is_sandbox
