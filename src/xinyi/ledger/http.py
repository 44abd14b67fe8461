"""``/v1/ledger``: the transparency log, for anyone. It shows hashes and signatures, never an entry."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta, Struct

from ..kernel.canonical import unb64url
from ..kernel.errors import Code, XinyiError
from ..storage.database import Database
from ..web.caching import public
from ..web.envelope import Envelope
from ..web.problem import problems
from .model import ConsistencyProof, InclusionProof
from .service import LedgerService

_MOST: Final = 2**53 - 1  # the largest integer that every JSON reader keeps (RFC 8259 §6)

TreeSize = Annotated[
    int | None,
    QueryParameter(ge=1, le=_MOST, required=False, description="The number of leaves; the newest if left out."),
]


class KeySet(Struct, frozen=True):
    """A JWK Set (RFC 7517 §5)."""

    keys: Annotated[
        list[dict[str, Any]],
        Meta(
            description="Every key that has ever signed a checkpoint, oldest first. `xinyi_not_before` (NumericDate) "
            "says since when, `xinyi_not_after` until when, as soon as the next one is known.",
            examples=[
                [
                    {
                        "kty": "EC",
                        "crv": "P-256",
                        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                        "kid": "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
                        "use": "sig",
                        "alg": "ES256",
                        "xinyi_not_before": 1793606400,
                    }
                ]
            ],
        ),
    ]


class CheckpointView(Struct, frozen=True, kw_only=True):
    """A signed checkpoint, and what is in it."""

    log_id: Annotated[str, Meta(description="The log.", examples=["log_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    tree_size: Annotated[int, Meta(ge=1, description="The number of leaves.", examples=[7])]
    root_hash: Annotated[
        str,
        Meta(
            description="The root of the Merkle tree over them, base64url.",
            examples=["3a98DXCUS3CHGbFTThbC_qJTT1DD5wx8HhAjgzRK4gE"],
        ),
    ]
    issued_at: Annotated[datetime, Meta(tz=True, description="When it was signed.", examples=["2026-11-02T08:00:00Z"])]
    checkpoint: Annotated[
        str,
        Meta(
            description="The checkpoint itself: a compact JWS of type `xinyi-checkpoint+jws`, signed with one of the "
            "keys at `/v1/ledger/jwks`. Keep it: it shows any later rewriting.",
            examples=["eyJhbGciOiJFUzI1NiIsInR5cCI6Inhpbnlp….eyJpYXQiOjE3OTM2MDY0MDAs….MEUCIQDX…"],
        ),
    ]


class LedgerController(Controller):
    """The transparency log."""

    path = "/v1/ledger"
    tags = ("Ledger",)
    security = ({},)

    @get("/jwks", operation_id="getLedgerKeys", summary="Read the ledger's keys")
    async def jwks(self, request: Request[Any, Any, Any], ledger: NamedDependency[LedgerService]) -> Response[KeySet]:
        """The public keys that verify receipts and checkpoints. They stay published for ever."""
        return public(request, KeySet(ledger.jwks()["keys"]))

    @get(
        "/checkpoints/latest",
        operation_id="getLatestCheckpoint",
        summary="Read the newest checkpoint",
        responses=problems(Code.NOT_FOUND, Code.UNAVAILABLE),
    )
    async def latest(
        self, database: NamedDependency[Database], ledger: NamedDependency[LedgerService]
    ) -> Envelope[CheckpointView]:
        """What the log is at this moment. An empty log has no checkpoint."""
        async with database.read() as tx:
            return _view(await ledger.latest_checkpoint(tx), ledger)

    @get(
        "/checkpoints/{size:int}",
        operation_id="getCheckpoint",
        summary="Read the checkpoint of one size",
        responses=problems(Code.NOT_FOUND, Code.INVALID, Code.UNAVAILABLE),
    )
    async def checkpoint(
        self,
        database: NamedDependency[Database],
        ledger: NamedDependency[LedgerService],
        size: Annotated[int, PathParameter(ge=1, le=_MOST, description="The number of leaves.")],
    ) -> Envelope[CheckpointView]:
        """One is signed for each batch of entries, so not every size has its checkpoint."""
        async with database.read() as tx:
            return _view(await ledger.checkpoint(tx, size), ledger)

    @get(
        "/proofs/inclusion",
        operation_id="proveInclusion",
        summary="Prove that an entry is in the log",
        responses=problems(Code.NOT_FOUND, Code.INVALID, Code.UNAVAILABLE),
    )
    async def inclusion(
        self,
        database: NamedDependency[Database],
        ledger: NamedDependency[LedgerService],
        leaf_hash: Annotated[
            str,
            QueryParameter(
                pattern="^[A-Za-z0-9_-]{43}$",
                description="SHA-256 over a zero byte and the entry (RFC 9162 §2.1.1), base64url.",
            ),
        ],
        tree_size: TreeSize = None,
    ) -> Envelope[InclusionProof]:
        """The entry can't be changed or removed any more without this proof failing (RFC 9162 §2.1.3).

        It doesn't prove that nothing else was recorded elsewhere.
        """
        try:
            leaf = unb64url(leaf_hash)
        except ValueError as error:
            raise XinyiError(Code.INVALID, "not base64url of 32 bytes", source="leaf_hash") from error
        async with database.read() as tx:
            return Envelope(await ledger.inclusion(tx, leaf, tree_size))

    @get(
        "/proofs/consistency",
        operation_id="proveConsistency",
        summary="Prove that the log only grew",
        responses=problems(Code.NOT_FOUND, Code.INVALID, Code.UNAVAILABLE),
    )
    async def consistency(
        self,
        database: NamedDependency[Database],
        ledger: NamedDependency[LedgerService],
        first: Annotated[int, QueryParameter(ge=1, le=_MOST, description="The size of a checkpoint that you kept.")],
        second: TreeSize = None,
    ) -> Envelope[ConsistencyProof]:
        """The log of `first` leaves is the beginning of that of `second` leaves (RFC 9162 §2.1.4)."""
        async with database.read() as tx:
            return Envelope(await ledger.consistency(tx, first, second))


def _view(token: str, ledger: LedgerService) -> Envelope[CheckpointView]:
    checkpoint = ledger.read_checkpoint(token)
    return Envelope(
        CheckpointView(
            log_id=checkpoint.log_id,
            tree_size=checkpoint.tree_size,
            root_hash=checkpoint.root_hash,
            issued_at=datetime.fromtimestamp(checkpoint.iat, UTC),
            checkpoint=token,
        )
    )
