"""What the ledger takes and gives."""

from typing import Annotated, Final

from msgspec import Meta, Struct

ERASURE: Final = "erasure"
"""The kind of the entry that says which earlier entries were erased."""


class NewEntry(Struct, frozen=True):
    """One entry to append: the ledger keeps ``body`` exactly as given and checks nothing inside it.

    Where the body has members ``kind`` and ``id``, they are these: verification holds the rows against them.
    """

    kind: str
    id: str
    """The id of what the entry is about: a check's, a consent's. Several entries may share it."""
    body: bytes
    """Canonical JSON. It carries a salt of 128 random bits, so that its hash tells nothing."""


class Held(Struct, frozen=True, kw_only=True):
    """One entry that the log holds, with a receipt under the newest checkpoint; without both once it was erased."""

    entry_id: str
    kind: str
    leaf_index: int
    body: bytes | None
    receipt: str | None


class Checkpoint(Struct, frozen=True, kw_only=True):
    """What a signed checkpoint says: the log had this root at this size."""

    iss: str
    log_id: str
    tree_size: Annotated[int, Meta(ge=0)]
    root_hash: str
    """Base64url of 32 bytes."""
    iat: int
    """NumericDate: when it was signed."""


class InclusionProof(Struct, frozen=True):
    """That a leaf is in the log, and where. ``path`` is base64url, from the leaf's neighbour up."""

    leaf_index: Annotated[int, Meta(description="The leaf's place in the log, from 0.", examples=[4])]
    tree_size: Annotated[
        int, Meta(description="The number of leaves of the tree that the path leads to.", examples=[7])
    ]
    path: Annotated[
        list[str],
        Meta(
            description="Hashes from the leaf's neighbour to the root (RFC 9162 §2.1.3), base64url.",
            examples=[["JbJ4zmplotunxMFUjs1Xv5zd4k7NhoVfgUdiCZCb8Hk"]],
        ),
    ]


class ConsistencyProof(Struct, frozen=True):
    """That the log of ``first`` leaves is the beginning of the log of ``second`` leaves."""

    first: Annotated[int, Meta(description="The older tree's number of leaves.", examples=[4])]
    second: Annotated[int, Meta(description="The newer tree's number of leaves.", examples=[7])]
    path: Annotated[
        list[str],
        Meta(
            description="The hashes of RFC 9162 §2.1.4, base64url.",
            examples=[["JbJ4zmplotunxMFUjs1Xv5zd4k7NhoVfgUdiCZCb8Hk"]],
        ),
    ]
