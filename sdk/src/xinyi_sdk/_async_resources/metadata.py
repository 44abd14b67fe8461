# Written by tools/sdk_async.py from _resources/metadata.py: edit that, then run 'make sdk-async'.
"""The published lists. Public: needs no consent and no token."""

from .._operations import metadata as operations
from ..models.metadata import Behaviour, ErrorCode, OutcomeWording, RecordType
from .base import Resource


class AsyncMetadata(Resource):
    """The published lists. Public: needs no consent and no token."""

    async def record_types(self) -> tuple[RecordType, ...]:
        """The data list 数据清单: which positive facts there are."""
        return await self._driver.run(operations.record_types(self._engine))

    async def behaviours(self) -> tuple[Behaviour, ...]:
        """The behaviour list 行为清单: what may and may not be done with an answer."""
        return await self._driver.run(operations.behaviours(self._engine))

    async def error_codes(self) -> tuple[ErrorCode, ...]:
        """Every code that an error may carry, with its words in Chinese and English."""
        return await self._driver.run(operations.error_codes(self._engine))

    async def outcomes(self) -> tuple[OutcomeWording, ...]:
        """The outcomes, and the neutral words for them."""
        return await self._driver.run(operations.outcomes(self._engine))
