"""What each resource holds."""

from typing import TYPE_CHECKING

from .._engine import Engine

if TYPE_CHECKING:
    from .._http import SyncDriver


class Resource:
    """Some operations of one client."""

    def __init__(self, engine: Engine, driver: "SyncDriver") -> None:
        self._engine: Engine = engine
        self._driver: SyncDriver = driver
