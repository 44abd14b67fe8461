# Written by tools/sdk_async.py from _resources/base.py: edit that, then run 'make sdk-async'.
"""What each resource holds."""

from typing import TYPE_CHECKING

from .._engine import Engine

if TYPE_CHECKING:
    from .._http import AsyncDriver


class Resource:
    """Some operations of one client."""

    def __init__(self, engine: Engine, driver: "AsyncDriver") -> None:
        self._engine: Engine = engine
        self._driver: AsyncDriver = driver
