"""What becomes of tokens after they were given: introspection (RFC 7662) and revocation (RFC 7009).

A client may introspect the tokens of its own partner or source, and revoke its own. Everything else is to it as a token
that doesn't exist: ``{"active": false}``, and nothing to revoke.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from ..consents.model import Consent, ConsentState
from ..consents.service import ConsentService
from ..kernel.clock import Clock, epoch_seconds
from ..kernel.errors import XinyiError
from ..partners.model import Client
from ..partners.service import PartnerService
from ..storage.database import Database
from .access_token import AccessTokens, Confirmation, Revoked, SignedToken
from .authorization_details import GrantedDetail, granted
from .forms import required
from .jose import JwtProblem
from .model import RefreshToken
from .refresh_tokens import RefreshTokens
from .token import CODE_SCOPES

_USABLE = frozenset({ConsentState.AUTHORISED, ConsentState.CONSUMED})
"""States of the consent in which its tokens are of use: what a consumed one gave can be read again."""


class IntrospectionAnswer(Struct, frozen=True, kw_only=True):
    """RFC 7662 §2.2, with the key of RFC 9449 §6.2 and the details of RFC 9396 §9.2. Inactive: ``active`` alone."""

    active: Annotated[bool, Meta(description="Whether the token works at this moment.")]
    iss: Annotated[str, Meta(description="Who issued it.")] | UnsetType = UNSET
    sub: Annotated[str, Meta(description="The client, or the subject as the partner knows them.")] | UnsetType = UNSET
    aud: Annotated[str, Meta(description="What it is for: this API.")] | UnsetType = UNSET
    client_id: Annotated[str, Meta(description="Whose token it is.")] | UnsetType = UNSET
    scope: Annotated[str, Meta(description="What it may be used for.", examples=["checks"])] | UnsetType = UNSET
    token_type: (
        Annotated[
            Literal["DPoP"], Meta(description="An access token is sent with this scheme. Refresh tokens: absent.")
        ]
        | UnsetType
    ) = UNSET
    exp: Annotated[int, Meta(description="When it ends, in seconds since 1970.")] | UnsetType = UNSET
    iat: Annotated[int, Meta(description="When it was issued, in seconds since 1970.")] | UnsetType = UNSET
    jti: Annotated[str, Meta(description="Names an access token.")] | UnsetType = UNSET
    cnf: Annotated[Confirmation, Meta(description="The key that an access token is bound to.")] | UnsetType = UNSET
    authorization_details: (
        Annotated[tuple[GrantedDetail], Meta(description="The consent that it is bound to.")] | UnsetType
    ) = UNSET


INACTIVE = IntrospectionAnswer(active=False)


class TokenInspector:
    """Answers authenticated clients about tokens, and revokes them."""

    def __init__(
        self,
        issuer: str,
        clock: Clock,
        database: Database,
        *,
        tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        partners: PartnerService,
        consents: ConsentService,
    ) -> None:
        self._issuer = issuer
        self._clock = clock
        self._database = database
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._partners = partners
        self._consents = consents

    async def introspect(self, client: Client, form: dict[str, str]) -> IntrospectionAnswer:
        """How the token in ``form`` stands. Raises :class:`OAuthError` (invalid_request) when there is none."""
        token = required(form, "token")
        signed = self._signed(token)
        if signed is not None:
            return await self._access_token(client, signed)
        found = await self._refresh_tokens.find(token)
        return INACTIVE if found is None else await self._refresh_token(client, found)

    async def revoke(self, client: Client, form: dict[str, str]) -> None:
        """Ends the token in ``form``; with a refresh token, all that the same code gave. Raises as :meth:`introspect`.

        What is unknown, over, or another client's stays as it is, and nobody is told (RFC 7009 §2.2).
        """
        token = required(form, "token")
        signed = self._signed(token)
        if signed is not None:
            if signed.claims.client_id == client.id:
                await self._tokens.revoke(signed.claims)
            return
        found = await self._refresh_tokens.find(token)
        if found is not None and found.client_id == client.id:
            await self._refresh_tokens.revoke_families([found.family])

    def _signed(self, token: str) -> SignedToken | None:
        try:
            return self._tokens.signed(token)
        except JwtProblem:
            return None

    async def _access_token(self, client: Client, signed: SignedToken) -> IntrospectionAnswer:
        claims = signed.claims
        owner = (claims.partner_id or None, claims.source_id or None)
        details = claims.authorization_details
        consent_id = details[0].consent_id if details else None
        if owner != (client.partner_id, client.source_id) or not await self._works(signed, consent_id):
            return INACTIVE
        return IntrospectionAnswer(
            active=True,
            iss=claims.iss,
            sub=claims.sub,
            aud=claims.aud,
            client_id=claims.client_id,
            scope=claims.scope,
            token_type="DPoP",  # noqa: S106 (a scheme)
            exp=claims.exp,
            iat=claims.iat,
            jti=claims.jti,
            cnf=claims.cnf,
            authorization_details=details,
        )

    async def _works(self, signed: SignedToken, consent_id: str | None) -> bool:
        """Whether the API would take the token at this moment."""
        claims = signed.claims
        if claims.exp <= self._clock.now().timestamp():
            return False
        standing = self._tokens.standing(signed.verified)
        try:
            await standing.settle()
        except Revoked:
            return False
        finally:
            standing.drop()
        async with self._database.read() as tx:
            if not await self._stands(tx, claims.client_id):
                return False
            if consent_id is None:
                return True
            consent = await self._consent(tx, consent_id)
        return consent is not None and self._consents.state(consent) in _USABLE

    async def _refresh_token(self, client: Client, token: RefreshToken) -> IntrospectionAnswer:
        async with self._database.read() as tx:
            stands = await self._stands(tx, token.client_id)
            consent = await self._consent(tx, token.consent_id)
        if not stands or consent is None or consent.partner_id != client.partner_id:
            return INACTIVE
        if self._consents.state(consent) is not ConsentState.AUTHORISED or consent.expires_at is None:
            return INACTIVE
        return IntrospectionAnswer(
            active=True,
            iss=self._issuer,
            sub=self._consents.pairwise(consent) or UNSET,
            client_id=token.client_id,
            scope=" ".join(sorted(CODE_SCOPES)),
            exp=epoch_seconds(consent.expires_at),
            iat=epoch_seconds(token.created_at),
            authorization_details=(granted(consent),),
        )

    async def _stands(self, tx: AsyncConnection, client_id: str) -> bool:
        """Whether the client and its owner may act."""
        client = await self._partners.client(tx, client_id)
        return client is not None and client.active and client.owner.active

    async def _consent(self, tx: AsyncConnection, consent_id: str) -> Consent | None:
        try:
            return await self._consents.find(tx, consent_id)
        except XinyiError:
            return None
