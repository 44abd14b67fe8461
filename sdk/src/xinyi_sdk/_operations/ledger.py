"""The platform's transparency log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from .._encoding import b64url
from .._engine import Engine
from .._flow import Flow, alone
from .._merkle import leaf_hash
from .._problems import read
from ..checkpoints import Checkpoint, ConsistencyProof, verify_checkpoint, verify_consistency
from ..errors import InvalidResponse, LogInvalid, XinyiError
from ..models.ledger import InclusionProof
from .common import Data

KEYS_AGAIN_AFTER: Final = 60.0
"""Seconds after which the log's keys are fetched again for the sake of a receipt."""


class CheckpointData(Struct, frozen=True):
    log_id: str
    tree_size: int
    root_hash: str
    issued_at: datetime
    checkpoint: str


def jwks(engine: Engine, refresh: bool) -> Flow[dict[str, Any]]:
    known = engine.ledger_keys.jwks
    if known is not None and not refresh:
        return dict(known)
    return (yield from alone("ledger", _fetch_jwks(engine, known)))


def _fetch_jwks(engine: Engine, known: Mapping[str, Any] | None, *, once: bool = False) -> Flow[dict[str, Any]]:
    if engine.ledger_keys.jwks is not known and engine.ledger_keys.jwks is not None:
        return dict(engine.ledger_keys.jwks)  # another caller was faster
    response = yield from engine.call("GET", "/v1/ledger/jwks", public=True, once=once)
    jwks = read(response, dict[str, Any])
    if not isinstance(jwks.get("keys"), list):
        raise InvalidResponse("the ledger's JWKS has no list of keys")
    engine.ledger_keys.jwks = jwks
    return dict(jwks)


def learn_keys(engine: Engine, receipt: str) -> Flow[None]:
    """Fetches the log's keys when the receipt needs one not seen before, so that it can be verified offline later.

    The answer is there already: failing to fetch keys must not lose it, nor keep many answers waiting.
    """
    if not engine.ledger_keys.hold(receipt):
        yield from alone("ledger", _fetch_missing_keys(engine, receipt))


def _fetch_missing_keys(engine: Engine, receipt: str) -> Flow[None]:
    keys, now = engine.ledger_keys, engine.sources.monotonic()
    if keys.hold(receipt) or (keys.asked_at is not None and now < keys.asked_at + KEYS_AGAIN_AFTER):
        return
    keys.asked_at = now
    try:
        yield from _fetch_jwks(engine, keys.jwks, once=True)
    except XinyiError:
        return


def checkpoint(engine: Engine, size: int | None) -> Flow[Checkpoint]:
    """The newest checkpoint, or that of one size; verified, with fresh keys when it is signed with a new one."""
    path = f"/v1/ledger/checkpoints/{'latest' if size is None else f'{size:d}'}"
    text = read((yield from engine.call("GET", path, public=True)), Data[CheckpointData]).data.checkpoint
    issuer = engine.config.issuer
    try:
        return verify_checkpoint(text, (yield from jwks(engine, refresh=False)), issuer=issuer)
    except LogInvalid as error:
        if error.reason != "key":
            raise
    return verify_checkpoint(text, (yield from jwks(engine, refresh=True)), issuer=issuer)


def consistency(engine: Engine, first: int, second: int | None) -> Flow[ConsistencyProof]:
    query = {"first": f"{first:d}"} | ({} if second is None else {"second": f"{second:d}"})
    response = yield from engine.call("GET", "/v1/ledger/proofs/consistency", query=query, public=True)
    return read(response, Data[ConsistencyProof]).data


def inclusion(engine: Engine, entry: bytes, tree_size: int | None) -> Flow[InclusionProof]:
    query = {"leaf_hash": b64url(leaf_hash(entry))} | ({} if tree_size is None else {"tree_size": f"{tree_size:d}"})
    response = yield from engine.call("GET", "/v1/ledger/proofs/inclusion", query=query, public=True)
    return read(response, Data[InclusionProof]).data


def grown(engine: Engine, kept: Checkpoint) -> Flow[Checkpoint]:
    """The newest checkpoint, once it is proved that the log of ``kept`` is its beginning."""
    newest = yield from checkpoint(engine, None)
    if newest.tree_size < kept.tree_size:
        raise LogInvalid("consistency", f"the newest log has {newest.tree_size} entries, not {kept.tree_size}")
    if newest.tree_size == kept.tree_size:
        proof = ConsistencyProof(kept.tree_size, kept.tree_size, ())
    else:
        proof = yield from consistency(engine, kept.tree_size, newest.tree_size)
    verify_consistency(kept, newest, proof)
    return newest
