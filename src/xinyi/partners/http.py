"""What a client may know and change of itself: its rights, and its keys."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from ..kernel.errors import Code, XinyiError
from ..kernel.text import Text
from ..storage.database import Database
from ..web.envelope import Envelope
from ..web.principal import Principal, Scope, requires
from ..web.problem import problems
from .model import Client, ClientKey, Standing, SubParty, SubPartyStatus
from .service import PartnerService

Limit = Annotated[int, QueryParameter(ge=1, le=200, required=False, description="The most to list.")]
Cursor = Annotated[
    str | None,
    QueryParameter(pattern="^[a-z0-9_]{1,64}$", required=False, description="`meta.next_cursor` of the page before."),
]
KeyId = Annotated[str, PathParameter(description="The key: its `id`.")]


class NewKey(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A public JWK (RFC 7517 §4). A private one is refused, and was told to somebody by then: make a new one."""

    kty: Annotated[str, Meta(max_length=8, description="`EC`, `OKP` or `RSA`.", examples=["EC"])]
    kid: Annotated[str, Meta(min_length=1, max_length=128, description="Names it in assertions.", examples=["2026-11"])]
    crv: (
        Annotated[str, Meta(max_length=16, description="`P-256` with EC, `Ed25519` with OKP.", examples=["P-256"])]
        | UnsetType
    ) = UNSET
    x: (
        Annotated[
            str,
            Meta(
                max_length=64,
                description="The x coordinate, or the key with OKP.",
                examples=["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"],
            ),
        ]
        | UnsetType
    ) = UNSET
    y: (
        Annotated[
            str,
            Meta(
                max_length=64,
                description="The y coordinate.",
                examples=["x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"],
            ),
        ]
        | UnsetType
    ) = UNSET
    n: Annotated[str, Meta(max_length=1400, description="The modulus, with RSA: 2048 to 8192 bits.")] | UnsetType = (
        UNSET
    )
    e: Annotated[str, Meta(max_length=16, description="The exponent, with RSA.")] | UnsetType = UNSET
    alg: (
        Annotated[str, Meta(max_length=8, description="`ES256`, `Ed25519` or `PS256`.", examples=["ES256"])] | UnsetType
    ) = UNSET
    use: Annotated[str, Meta(max_length=8, description="`sig`.", examples=["sig"])] | UnsetType = UNSET
    key_ops: (
        Annotated[
            tuple[Annotated[str, Meta(max_length=16)], ...],
            Meta(max_length=8, description="Taken, and not kept.", examples=[["verify"]]),
        ]
        | UnsetType
    ) = UNSET
    ext: Annotated[bool, Meta(description="Taken, and not kept.")] | UnsetType = UNSET


class KeyView(Struct, frozen=True, kw_only=True):
    """A key that is registered for the client."""

    id: Annotated[
        str,
        Meta(description="The key's thumbprint (RFC 7638).", examples=["oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"]),
    ]
    kid: Annotated[str, Meta(description="Names it in assertions.", examples=["2026-11"])]
    kty: Annotated[str, Meta(description="`EC`, `OKP` or `RSA`.", examples=["EC"])]
    alg: Annotated[str, Meta(description="The algorithm that it is kept to, if one is.", examples=["ES256"])] | None
    added_at: Annotated[datetime, Meta(tz=True, description="When it was registered.")]
    works_from: Annotated[
        datetime, Meta(tz=True, description="From when on assertions by it are taken, unless it is removed before.")
    ]


class GivenScenario(Struct, frozen=True):
    """A scenario that the client was given."""

    id: Annotated[str, Meta(description="The scenario's id.", examples=["microloan-prescreen"])]
    units: (
        Annotated[
            tuple[str, ...],
            Meta(description="What it may learn of it.", examples=[["tax-rating"]]),
        ]
        | None
    )
    """``None``: all that the scenario tells."""


class ClientView(Struct, frozen=True, kw_only=True):
    """The program that asks."""

    id: Annotated[str, Meta(description="Its `client_id`.", examples=["cli_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    name: Annotated[str, Meta(description="What the partner calls it.", examples=["loans"])]
    scopes: Annotated[tuple[Scope, ...], Meta(description="What its tokens may be used for.")]
    redirect_uris: Annotated[
        tuple[str, ...], Meta(description="Where subjects come back to.", examples=[["https://bank.example/back"]])
    ]
    scenarios: Annotated[tuple[GivenScenario, ...], Meta(description="The scenarios that it may use.")]
    jwks_uri: (
        Annotated[
            str,
            Meta(
                description="Where it publishes its keys, unless they are registered.",
                examples=["https://bank.example/jwks.json"],
            ),
        ]
        | None
    )


class PartnerView(Struct, frozen=True, kw_only=True):
    """The partner and the client that asks, with their rights."""

    id: Annotated[str, Meta(description="The partner.", examples=["prt_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    name: Text
    kind: Annotated[str, Meta(description="What it is, in the scenarios' words.", examples=["bank"])]
    contact: Annotated[
        str, Meta(description="How people reach it: every consent page names it.", examples=["privacy@bank.example"])
    ]
    status: Annotated[Standing, Meta(description="Whether it may act.")]
    client: ClientView


class SubPartyView(Struct, frozen=True, kw_only=True):
    """A branch or merchant by which the partner acts."""

    id: Annotated[str, Meta(description="The sub-party.", examples=["sbp_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    name: Text
    contact: (
        Annotated[
            str,
            Meta(
                description="How people reach it, when that is another way than yours.",
                examples=["counter@bank.example"],
            ),
        ]
        | None
    )
    status: Annotated[SubPartyStatus, Meta(description="Whether you may act by it. What is closed stays closed.")]
    created_at: Annotated[datetime, Meta(tz=True, description="When it was registered.")]


_PROBLEMS = (Code.UNAUTHENTICATED, Code.INVALID_TOKEN, Code.INVALID_DPOP_PROOF, Code.INSUFFICIENT_SCOPE)


class PartnerController(Controller):
    """The calling client's own rights and keys."""

    path = "/v1/partner"
    tags = ("Partner",)
    guards = (requires(Scope.PARTNER),)

    @get(operation_id="getPartner", summary="Your rights", responses=problems(*_PROBLEMS))
    async def get_partner(
        self,
        principal: NamedDependency[Principal],
        partners: NamedDependency[PartnerService],
        database: NamedDependency[Database],
    ) -> Envelope[PartnerView]:
        """The partner as it is registered, and what the client that asks may do."""
        async with database.read() as tx:
            client = await partners.client(tx, principal.client_id)
        if client is None or client.partner is None:
            raise XinyiError(Code.INSUFFICIENT_SCOPE, "this is for partners")
        partner = client.partner
        return Envelope(
            PartnerView(
                id=partner.id,
                name=partner.name,
                kind=partner.kind,
                contact=partner.contact,
                status=partner.status,
                client=_client(client),
            )
        )

    @get(
        "/sub-parties",
        operation_id="listSubParties",
        summary="Your branches and merchants",
        responses=problems(*_PROBLEMS, Code.INVALID),
    )
    async def list_sub_parties(
        self,
        principal: NamedDependency[Principal],
        partners: NamedDependency[PartnerService],
        database: NamedDependency[Database],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Envelope[list[SubPartyView]]:
        """By whom the partner acts, the oldest first, closed ones too. The operator registers and closes them.

        Name one as `sub_party` where you ask for a consent: the page, the log and the receipts then say who acts.
        """
        async with database.read() as tx:
            found = await partners.sub_parties(tx, principal.partner, after=cursor, limit=limit + 1)
        page, more = found[:limit], len(found) > limit
        next_cursor = page[-1].id if more else None
        return Envelope(
            [_sub_party(each) for each in page],
            links={"next": f"/v1/partner/sub-parties?limit={limit}&cursor={next_cursor}"} if more else UNSET,
            meta={"limit": limit, "next_cursor": next_cursor},
        )

    @get("/keys", operation_id="listKeys", summary="Your keys", responses=problems(*_PROBLEMS))
    async def list_keys(
        self,
        principal: NamedDependency[Principal],
        partners: NamedDependency[PartnerService],
        database: NamedDependency[Database],
    ) -> Envelope[tuple[KeyView, ...]]:
        """The public keys that this client may authenticate with, now or from `works_from` on: 16 at most, the oldest
        first.

        None when it publishes them at its `jwks_uri`.
        """
        async with database.read() as tx:
            keys = await partners.registered_keys(tx, principal.client_id)
        return Envelope(tuple(_key(key) for key in keys))

    @post(
        "/keys",
        status_code=HTTPStatus.CREATED,
        operation_id="addKey",
        summary="Add a key",
        responses=problems(*_PROBLEMS, Code.WRONG_STATE),
    )
    async def add_key(
        self,
        principal: NamedDependency[Principal],
        partners: NamedDependency[PartnerService],
        database: NamedDependency[Database],
        data: JSONBody[NewKey],
    ) -> Envelope[KeyView]:
        """From `works_from` on assertions by this key are taken too, so that the next key is there before the last one
        goes. That is a day ahead unless the operator has set another time: whoever stole a key can't at once put their
        own in its place. The partner is told by the event `client.keys_changed`; until then any key of the client
        removes it. The operator can let a key work at once.

        Takes P-256 (`ES256`), Ed25519 and RSA from 2048 bits (`PS256`). A key that is there already stays as it is.
        """
        async with database.transaction() as tx:
            key = await partners.add_key(tx, principal.client_id, _given(data))
        return Envelope(_key(key))

    @delete(
        "/keys/{key_id:str}",
        status_code=HTTPStatus.NO_CONTENT,
        operation_id="removeKey",
        summary="Remove a key",
        responses=problems(*_PROBLEMS, Code.NOT_FOUND, Code.WRONG_STATE),
    )
    async def remove_key(
        self,
        principal: NamedDependency[Principal],
        partners: NamedDependency[PartnerService],
        database: NamedDependency[Database],
        key_id: KeyId,
    ) -> None:
        """From now on no assertion by this key is taken, by any worker. The only key that works can't be removed. The
        partner is told by the event `client.keys_changed`.

        Tokens that it brought live on for their five minutes: they are bound to the key of their DPoP proofs.
        """
        async with database.transaction() as tx:
            await partners.remove_key(tx, principal.client_id, key_id)


def _sub_party(sub_party: SubParty) -> SubPartyView:
    return SubPartyView(
        id=sub_party.id,
        name=sub_party.name,
        contact=sub_party.contact,
        status=sub_party.status,
        created_at=sub_party.created_at,
    )


def _given(key: NewKey) -> dict[str, Any]:
    return {name: value for name, value in asdict(key).items() if value is not UNSET}


def _key(key: ClientKey) -> KeyView:
    return KeyView(
        id=key.id,
        kid=key.jwk["kid"],
        kty=key.jwk["kty"],
        alg=key.jwk.get("alg"),
        added_at=key.added_at,
        works_from=key.works_from,
    )


def _client(client: Client) -> ClientView:
    return ClientView(
        id=client.id,
        name=client.name,
        scopes=tuple(sorted(client.scopes)),
        redirect_uris=client.redirect_uris,
        scenarios=tuple(
            GivenScenario(scenario, None if units is None else tuple(sorted(units)))
            for scenario, units in sorted(client.scenarios.items())
        ),
        jwks_uri=client.jwks_uri,
    )
