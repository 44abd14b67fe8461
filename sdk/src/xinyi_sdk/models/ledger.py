"""What the log proves."""

from msgspec import Struct


class InclusionProof(Struct, frozen=True, kw_only=True):
    """That an entry is in the log, and where. ``path`` is base64url, from the leaf's neighbour up (RFC 9162 §2.1.3)."""

    leaf_index: int
    tree_size: int
    path: tuple[str, ...]
