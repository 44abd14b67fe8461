"""Checkpoints: the signed heads of the platform's append-only log, and proof that it only grew between two of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from ._encoding import unb64url
from ._merkle import HASH_SIZE, is_consistent
from ._retry import utc
from .errors import LogInvalid, ProofInvalid

__all__ = ["Checkpoint", "ConsistencyProof", "verify_checkpoint", "verify_consistency"]

ALGORITHMS: Final = ("ES256", "PS256", "Ed25519")
CHECKPOINT_TYPE: Final = "xinyi-checkpoint+jws"
CLOCK_LEEWAY: Final = 300
"""Seconds by which the clock of the host that made a key may differ from that of one that signs with it."""
T = TypeVar("T")


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A verified head of the log: ``root_hash`` (base64url) stands for the first ``tree_size`` entries.

    ``text`` is the compact JWS that was verified: what to archive.
    """

    issuer: str
    log_id: str
    tree_size: int
    root_hash: str
    signed_at: datetime
    kid: str
    text: str


class ConsistencyProof(Struct, frozen=True):
    """That the log of ``first`` entries is the beginning of that of ``second`` (RFC 9162 §2.1.4); base64url."""

    first: int
    second: int
    path: tuple[str, ...]


class _Header(Struct, frozen=True):
    alg: str
    typ: str
    kid: str


class _Payload(Struct, frozen=True):
    iss: str
    log_id: str
    tree_size: int
    root_hash: str
    iat: int


def verify_checkpoint(text: str, jwks: Mapping[str, Any], *, issuer: str | None = None) -> Checkpoint:
    """Verifies a checkpoint with nothing but the log's key set. Raises ``LogInvalid`` with the ``reason``."""
    return read_checkpoint(text, jwks, issuer, LogInvalid)


def verify_consistency(first: Checkpoint, second: Checkpoint, proof: ConsistencyProof) -> None:
    """Verifies offline that nothing was changed or removed between two verified checkpoints of one log.

    Raises ``LogInvalid``: then the platform has shown two histories, and both checkpoints are the evidence.
    """
    if (first.issuer, first.log_id) != (second.issuer, second.log_id):
        raise LogInvalid("log", f"{first.log_id} of {first.issuer} and {second.log_id} of {second.issuer} differ")
    if (proof.first, proof.second) != (first.tree_size, second.tree_size):
        raise LogInvalid("consistency", f"the proof is for sizes {proof.first} and {proof.second}")
    path = [decoded(node, LogInvalid, "form", "proof's path") for node in proof.path]
    roots = [decoded(root, LogInvalid, "form", "root hash") for root in (first.root_hash, second.root_hash)]
    if any(len(node) != HASH_SIZE for node in (*path, *roots)):
        raise LogInvalid("form", "the proof holds something that isn't a SHA-256 hash")
    if not is_consistent(first.tree_size, second.tree_size, roots[0], roots[1], path):
        raise LogInvalid(
            "consistency", f"the log of {second.tree_size} entries doesn't begin with that of {first.tree_size}"
        )


def read_checkpoint(compact: str, jwks: Mapping[str, Any], issuer: str | None, error: type[ProofInvalid]) -> Checkpoint:
    """As :func:`verify_checkpoint`, raising ``error``."""
    segment, kid, published = read_signed(compact, CHECKPOINT_TYPE, jwks, error, "checkpoint")
    payload = read_json(_Payload, segment, error, "checkpoint")
    in_use(published, payload.iat, error)
    if issuer is not None and payload.iss != issuer:
        raise error("issuer", f"signed by {payload.iss}, not by {issuer}")
    return Checkpoint(
        issuer=payload.iss,
        log_id=payload.log_id,
        tree_size=payload.tree_size,
        root_hash=payload.root_hash,
        signed_at=utc(payload.iat),
        kid=kid,
        text=compact,
    )


def read_signed(
    compact: str, typ: str, jwks: Mapping[str, Any], error: type[ProofInvalid], what: str
) -> tuple[str, str, Mapping[str, Any]]:
    """The payload of a JWS by one of the log's keys, in base64url; that key's id, and the key as it is published."""
    segments = compact.split(".")
    if len(segments) != 3:
        raise error("form", f"the {what} isn't a compact JWS")
    header = read_json(_Header, segments[0], error, f"{what}'s header")
    decoded(segments[2], error, "form", f"{what}'s signature")
    if header.typ != typ:
        raise error("form", f"the {what}'s typ isn't {typ}")
    if header.alg not in ALGORITHMS:
        raise error("signature", f"the algorithm isn't one of {', '.join(ALGORITHMS)}")
    published = _published_key(jwks, header.kid, error)
    if published.get("use", "sig") != "sig" or published.get("alg", header.alg) != header.alg:
        raise error("key", f"key {header.kid} isn't for this algorithm")
    from ._jose import verifies

    if not verifies(compact, published):
        raise error("signature", f"the {what}'s signature doesn't verify")
    return segments[1], header.kid, published


def in_use(published: Mapping[str, Any], signed_at: int, error: type[ProofInvalid]) -> None:
    """That the key was in use at this moment, in epoch seconds."""
    not_before, not_after = published.get("xinyi_not_before"), published.get("xinyi_not_after")
    if (isinstance(not_before, int) and signed_at < not_before - CLOCK_LEEWAY) or (
        isinstance(not_after, int) and signed_at > not_after + CLOCK_LEEWAY
    ):
        raise error("key", f"key {published['kid']} wasn't in use at the time that is signed for")


def signed_with(compact: str, error: type[ProofInvalid]) -> str:
    """The id of the key that a checkpoint says it is signed with."""
    return read_json(_Header, compact.split(".")[0], error, "checkpoint's header").kid


def decoded(text: str, error: type[ProofInvalid], reason: str, what: str) -> bytes:
    """The bytes of canonical base64url."""
    try:
        return unb64url(text)
    except (ValueError, UnicodeEncodeError):
        raise error(reason, f"the {what} isn't canonical base64url") from None


def read_json(kind: type[T], text: str, error: type[ProofInvalid], what: str) -> T:
    """The JSON in base64url as ``kind``."""
    try:
        return msgspec.json.decode(decoded(text, error, "form", what), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise error("form", f"the {what} isn't what belongs there") from None


def _published_key(jwks: Mapping[str, Any], kid: str, error: type[ProofInvalid]) -> Mapping[str, Any]:
    listed = jwks.get("keys")
    if not isinstance(listed, Sequence) or not all(isinstance(key, Mapping) for key in listed):
        raise error("key", "the JWKS has no list of keys")
    found = [key for key in listed if key.get("kid") == kid]
    if len(found) != 1:
        raise error("key", f"key {kid} isn't in the JWKS: fetch it anew if it may have been rotated")
    key: Mapping[str, Any] = found[0]
    return key
