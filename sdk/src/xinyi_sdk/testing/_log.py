"""The fake platform's transparency log: what it signs verifies as the platform's own does, with the fake's own key."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from secrets import token_bytes, token_hex
from typing import Any, Final

from .._encoding import b64url, canonical_json, digest, unb64url
from .._keys import SigningKey
from .._merkle import leaf_hash, node_hash
from ..checkpoints import CHECKPOINT_TYPE


class FakeLog:
    """An append-only log in memory (RFC 9162 §2.1), small enough to be hashed anew for each proof."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.log_id: Final = f"log_{token_hex(13)}"
        self._key = SigningKey.generate()
        self._since = int(time.time())
        self._leaves: list[bytes] = []

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self._leaves)

    def jwks(self) -> dict[str, Any]:
        """The log's public key, as a key set."""
        return {"keys": [{**self._key.public_jwk(), "xinyi_not_before": self._since}]}

    def append(self, entry: bytes) -> str:
        """Adds an entry, and gives its receipt."""
        self._leaves.append(leaf_hash(entry))
        index, size = self.size - 1, self.size
        path = [b64url(node) for node in inclusion(self._leaves, index)]
        proof = canonical_json({"leaf_index": index, "tree_size": size, "path": path})
        return f"{b64url(entry)}~{b64url(proof)}~{self.checkpoint(size)}"

    def checkpoint(self, size: int) -> str:
        """The signed head of the first ``size`` entries."""
        payload = {
            "iss": self.issuer,
            "log_id": self.log_id,
            "tree_size": size,
            "root_hash": b64url(root(self._leaves[:size])),
            "iat": int(time.time()),
        }
        return self._key.sign({"typ": CHECKPOINT_TYPE, "kid": self._key.kid}, payload)

    def head(self, size: int) -> dict[str, Any]:
        """A checkpoint as the API shows it."""
        root_hash = b64url(root(self._leaves[:size]))
        issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        about = {"log_id": self.log_id, "tree_size": size, "root_hash": root_hash, "issued_at": issued}
        return {**about, "checkpoint": self.checkpoint(size)}

    def consistency(self, first: int, second: int) -> list[str]:
        """The path that shows that the first ``first`` entries begin the first ``second``."""
        return [b64url(node) for node in consistency(self._leaves[:second], first)]


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over hashed leaves."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = _half(len(leaves))
    return node_hash(root(leaves[:half]), root(leaves[half:]))


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path from a leaf up to the root (RFC 9162 §2.1.3.1)."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*inclusion(leaves[:half], index), root(leaves[half:])]
    return [*inclusion(leaves[half:], index - half), root(leaves[:half])]


def consistency(leaves: Sequence[bytes], first: int, whole: bool = True) -> list[bytes]:
    """The path between two sizes (RFC 9162 §2.1.4.1)."""
    if first == len(leaves):
        return [] if whole else [root(leaves)]
    half = _half(len(leaves))
    if first <= half:
        return [*consistency(leaves[:half], first, whole), root(leaves[half:])]
    return [*consistency(leaves[half:], first - half, False), root(leaves[:half])]


def _half(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


def entry_of(data: Mapping[str, Any], consent_id: str, partner_id: str, reference: str) -> bytes:
    """The log's entry of an answer: what its receipt proves."""
    salt = token_bytes(16)
    kept = ("id", "scenario", "subject", "outcome", "criteria", "as_of", "valid_until")
    commitments = {
        criterion: {
            name: digest(unb64url(data["salts"][criterion][name]) + canonical_json(value))
            for name, value in fields.items()
        }
        for criterion, fields in data["disclosed"].items()
    }
    return canonical_json(
        {
            **{name: data[name] for name in kept},
            "kind": "check",
            "consent_id": consent_id,
            "partner_id": partner_id,
            "reference_digest": digest(salt + reference.encode()),
            "commitments": commitments,
            "no_onward_supply": True,
            "salt": b64url(salt),
        }
    )
