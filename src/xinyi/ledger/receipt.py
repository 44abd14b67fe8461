"""Receipts: an entry, its inclusion proof and the signed checkpoint, in one compact string.

``b64url(entry) "~" b64url(proof JSON) "~" checkpoint JWS``. Whoever holds the ledger's JWKS verifies it without us.
"""

from collections.abc import Sequence

import msgspec

from ..kernel.canonical import b64url, unb64url
from .checkpoint import CheckpointKeys
from .model import Checkpoint, InclusionProof
from .tree import Growth, leaf_hash, verify_inclusion


class InvalidReceipt(ValueError):
    """A receipt that doesn't prove its entry. ``str()`` says what is wrong."""


def receipts(bodies: Sequence[bytes], growth: Growth, checkpoint: str) -> list[str]:
    """One receipt for each of the entries that ``growth`` appended, in order."""
    size = growth.after.size
    return [
        f"{b64url(body)}~{b64url(_json(InclusionProof(index, size, list(path))))}~{checkpoint}"
        for index, body, path in zip(range(growth.before.size, size), bodies, growth.paths(b64url), strict=True)
    ]


def receipt(body: bytes, proof: InclusionProof, checkpoint: str) -> str:
    """The receipt of one entry, by a proof that leads to ``checkpoint``."""
    return f"{b64url(body)}~{b64url(_json(proof))}~{checkpoint}"


def read_receipt(receipt: str, keys: CheckpointKeys) -> tuple[bytes, Checkpoint]:
    """The entry of a receipt and the checkpoint that vouches for it.

    Raises :class:`InvalidReceipt`, or ``InvalidCheckpoint`` when none of ``keys`` signed it.
    """
    try:
        entry, proof, token = receipt.split("~")
        body = unb64url(entry)
        inclusion = msgspec.json.decode(unb64url(proof), type=InclusionProof)
        path = [unb64url(text) for text in inclusion.path]
    except ValueError as error:
        raise InvalidReceipt("it doesn't have the form of a receipt") from error
    checkpoint = keys.read(token)
    if inclusion.tree_size != checkpoint.tree_size:
        raise InvalidReceipt("the proof and the checkpoint are of different sizes")
    root = unb64url(checkpoint.root_hash)
    if not verify_inclusion(leaf_hash(body), inclusion.leaf_index, inclusion.tree_size, path, root):
        raise InvalidReceipt("the proof doesn't lead from the entry to the checkpoint's root")
    return body, checkpoint


_json = msgspec.json.encode
