"""The platform's transparency log."""

from typing import Any

from .._operations import ledger as operations
from ..checkpoints import Checkpoint, ConsistencyProof
from ..models.ledger import InclusionProof
from .base import Resource


class Ledger(Resource):
    """The platform's transparency log."""

    def jwks(self, *, refresh: bool = False) -> dict[str, Any]:
        """The log's public keys, for verifying receipts offline: keep a copy with the receipts.

        Fetched once and then kept by the client; ``refresh`` fetches anew.
        """
        return self._driver.run(operations.jwks(self._engine, refresh))

    def checkpoint(self, *, size: int | None = None) -> Checkpoint:
        """The log's newest signed head, or that of one size; verified. Raises ``NotFound``, or ``LogInvalid``."""
        return self._driver.run(operations.checkpoint(self._engine, size))

    def grown(self, kept: Checkpoint) -> Checkpoint:
        """The newest checkpoint, after proving that the log only grew since ``kept``: archive it in its place.

        Raises ``LogInvalid`` when the platform shows another history than before.
        """
        return self._driver.run(operations.grown(self._engine, kept))

    def consistency(self, *, first: int, second: int | None = None) -> ConsistencyProof:
        """The proof that the log of ``first`` entries begins that of ``second``, for ``verify_consistency``."""
        return self._driver.run(operations.consistency(self._engine, first, second))

    def inclusion(self, entry: bytes, *, tree_size: int | None = None) -> InclusionProof:
        """Where an entry's bytes are in the log, and the path from there to its root. Raises ``NotFound``."""
        return self._driver.run(operations.inclusion(self._engine, entry, tree_size))
