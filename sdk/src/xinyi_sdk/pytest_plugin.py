"""The pytest plugin: the fixture ``fake_xinyi``. It is loaded with every pytest run, so it imports late."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import FakeXinyi


@pytest.fixture
def fake_xinyi(monkeypatch: pytest.MonkeyPatch) -> "Iterator[FakeXinyi]":
    """A platform in memory. Clients that are made during the test reach it, with the variables they need set."""
    from .testing import FakeXinyi

    fake = FakeXinyi()
    monkeypatch.delenv("XINYI_SDK_PRIVATE_KEY_FILE", raising=False)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    with fake.installed():
        yield fake
