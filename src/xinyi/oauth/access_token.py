"""Access tokens: ``at+jwt`` (RFC 9068), bound to the caller's key by ``cnf.jkt`` (RFC 9449 §6.1)."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..kernel.clock import Clock, epoch_seconds
from ..partners.model import Client
from ..storage.cache import Cache, drop
from ..storage.keys import KeyRing
from ..web.principal import Principal, Scope
from .authorization_details import GrantedDetail
from .jose import JwtProblem, read_jwt, sign_jwt

LIFETIME: Final = timedelta(minutes=5)
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 (a media type)
_HELD: Final = 10_000
_CLOCKS_APART: Final = timedelta(minutes=2)
_KEY_REFUSED: Final = timedelta(days=30)
"""How long the shared state knows of a revoked key: hosts that still have an old key file refuse it as well."""


class Confirmation(Struct, frozen=True):
    jkt: str


class Claims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an access token says. ``family`` names everything that one code gave, so that it can be revoked at once."""

    iss: str
    sub: str
    aud: str
    exp: int
    iat: int
    jti: str
    client_id: str
    scope: str
    cnf: Confirmation
    partner_id: str | UnsetType = UNSET
    source_id: str | UnsetType = UNSET
    authorization_details: tuple[GrantedDetail] | UnsetType = UNSET
    family: str | UnsetType = UNSET


class VerifiedToken(Struct, frozen=True):
    """A token whose signature was checked, as the middleware holds it."""

    principal: Principal
    issued_at: int
    expires_at: int
    revoked_by: tuple[str, ...]
    """The keys in the short-lived state of which any one revokes it: its own, its family's, its signing key's."""


class SignedToken(Struct, frozen=True):
    """What a token says, and the token as the middleware holds it."""

    claims: Claims
    verified: VerifiedToken


class Revoked(JwtProblem):
    """The token was revoked, or that can't be known. ``str()`` says which."""


class Standing:
    """A question that is under way, whether a token was revoked: await :meth:`settle`, and :meth:`drop` in any case."""

    def __init__(self, revoked: asyncio.Future[int], token: VerifiedToken, cache: Cache) -> None:
        self._revoked = revoked
        self._token = token
        self._cache = cache

    async def settle(self) -> None:
        """Raises :class:`Revoked`."""
        if await self._revoked:
            raise Revoked("the token was revoked")
        # After the question: the state may have begun anew with this very one.
        if self._token.issued_at < self._cache.since.timestamp():
            raise Revoked("the token is older than what is known about revoked ones: get a new one")

    def drop(self) -> None:
        """Nobody waits for the answer any more."""
        drop(self._revoked)


class AccessTokens:
    """Issues and checks this server's own tokens."""

    def __init__(self, issuer: str, clock: Clock, cache: Cache, ring: KeyRing) -> None:
        self._issuer = issuer
        self._clock = clock
        self._cache = cache
        self._ring = ring
        self._held: OrderedDict[bytes, VerifiedToken] = OrderedDict()
        self._held_by = ring.keys
        """The keys by which the held tokens were verified."""

    def issue(
        self,
        client: Client,
        scopes: Collection[Scope],
        jkt: str,
        *,
        subject: str | None = None,
        detail: GrantedDetail | None = None,
        family: str | None = None,
    ) -> str:
        """A token for ``client``. ``subject``, ``detail`` and ``family`` come from a subject's consent."""
        # Never dated before what is known of revocations begins, which may be the next full second.
        now = epoch_seconds(max(self._clock.now(), self._cache.since))
        claims = Claims(
            iss=self._issuer,
            sub=subject or client.id,
            aud=self._issuer,
            exp=now + int(LIFETIME.total_seconds()),
            iat=now,
            jti=secrets.token_urlsafe(16),
            client_id=client.id,
            scope=" ".join(sorted(scopes)),
            cnf=Confirmation(jkt),
            partner_id=client.partner_id or UNSET,
            source_id=client.source_id or UNSET,
            authorization_details=UNSET if detail is None else (detail,),
            family=family or UNSET,
        )
        key = self._ring.signing
        return sign_jwt({"typ": TOKEN_TYPE, "kid": key.kid}, msgspec.to_builtins(claims), key.key)

    def read(self, token: str) -> VerifiedToken:
        """The token, when this server signed it and it hasn't expired; :meth:`standing` tells whether it was revoked.

        A signature is checked once, however often the token comes, unless the keys were changed meanwhile. Raises
        :class:`JwtProblem`.
        """
        if self._ring.keys is not self._held_by:
            self._held_by = self._ring.keys
            self._held.clear()
        digest = hashlib.sha256(token.encode()).digest()
        found = self._held.get(digest)
        if found is None:
            found = self.signed(token).verified
            self._held[digest] = found
            if len(self._held) > _HELD:
                self._held.popitem(last=False)
        if found.expires_at <= self._clock.now().timestamp():
            self._held.pop(digest, None)
            raise JwtProblem("the token has expired")
        return found

    def standing(self, token: VerifiedToken) -> Standing:
        """Asks whether the token was revoked. The question is under way when this returns, as with ``Cache.count``."""
        return Standing(self._cache.present(*token.revoked_by), token, self._cache)

    async def revoke(self, claims: Claims) -> None:
        """From now on this token works no more; it stays so until it would have expired."""
        left = datetime.fromtimestamp(claims.exp, UTC) - self._clock.now()
        if left > timedelta(0):
            await self._cache.put(_key(claims.jti), left + _CLOCKS_APART, b"")

    async def revoke_family(self, family: str) -> None:
        """From now on no token that was issued with ``family`` works."""
        await self._cache.put(_key(family), LIFETIME + _CLOCKS_APART, b"")

    async def refuse_key(self, kid: str) -> None:
        """From now on no worker that shares this state takes what the key signed, whatever its own key file holds."""
        await self._cache.put(_signer(kid), _KEY_REFUSED, b"")

    async def is_revoked_family(self, family: str) -> bool:
        """Whether :meth:`revoke_family` was called lately."""
        return await self._cache.get(_key(family)) is not None

    def signed(self, text: str) -> SignedToken:
        """A token that this server signed, whether or not it has expired. Raises :class:`JwtProblem`."""
        token = read_jwt(text)
        kid = str(token.header.get("kid"))
        key = self._ring.find(kid)
        if token.header.get("typ") != TOKEN_TYPE or token.algorithm != "ES256":
            raise JwtProblem("the token isn't an access token of this server")
        if key is None or not token.is_signed_by(key.key):
            raise JwtProblem("the token isn't signed by this server")
        try:
            claims = msgspec.convert(token.claims, Claims)
        except msgspec.ValidationError:
            raise JwtProblem("the token isn't an access token of this server") from None
        if claims.iss != self._issuer or claims.aud != self._issuer:
            raise JwtProblem("the token is for another server")
        return SignedToken(claims, _verified(claims, kid))


def _verified(claims: Claims, kid: str) -> VerifiedToken:
    details = claims.authorization_details or None
    principal = Principal(
        client_id=claims.client_id,
        scopes=frozenset(map(Scope, claims.scope.split())),
        jkt=claims.cnf.jkt,
        partner_id=claims.partner_id or None,
        source_id=claims.source_id or None,
        consent_id=details[0].consent_id if details else None,
    )
    names = [claims.jti, claims.family] if claims.family else [claims.jti]
    return VerifiedToken(principal, claims.iat, claims.exp, (*map(_key, names), _signer(kid)))


def _key(name: str) -> str:
    """Marks a token, by its ``jti``, or a family of them as revoked."""
    return f"revoked:{name}"


def _signer(kid: str) -> str:
    """Marks a signing key as revoked."""
    return _key(f"key:{kid}")


class TokenAnswer(Struct, frozen=True, kw_only=True):
    """RFC 6749 §5.1, with the details of RFC 9396 §7."""

    access_token: Annotated[str, Meta(description="A JWT of type `at+jwt` (RFC 9068).")]
    token_type: Annotated[Literal["DPoP"], Meta(description="Send it with this scheme and a proof (RFC 9449 §7.1).")]
    expires_in: Annotated[int, Meta(description="How many seconds it lives.", examples=[300])]
    scope: Annotated[str, Meta(description="What it may be used for.", examples=["checks"])]
    authorization_details: (
        Annotated[tuple[GrantedDetail], Meta(description="The consent that it is bound to.")] | UnsetType
    ) = UNSET
    refresh_token: (
        Annotated[str, Meta(description="Gets new access tokens for as long as a recurring consent is in force.")]
        | UnsetType
    ) = UNSET


def token_answer(
    token: str, scopes: Collection[Scope], detail: GrantedDetail | None = None, refresh_token: str | None = None
) -> TokenAnswer:
    """The answer that brings ``token``."""
    return TokenAnswer(
        access_token=token,
        token_type="DPoP",  # noqa: S106 (a scheme)
        expires_in=int(LIFETIME.total_seconds()),
        scope=" ".join(sorted(scopes)),
        authorization_details=UNSET if detail is None else (detail,),
        refresh_token=refresh_token or UNSET,
    )
