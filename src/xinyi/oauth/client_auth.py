"""Client authentication by ``private_key_jwt`` (RFC 7523, OpenID Connect Core §9), as FAPI 2.0 §5.3.2.1 narrows it."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ..kernel.canonical import b64url
from ..kernel.clock import Clock
from ..partners.model import Client
from ..partners.service import PartnerService
from ..storage.database import Database
from ..storage.once import Forgotten, Uses
from .errors import ErrorCode, OAuthError
from .jose import KEY_TYPES, HeldKeys, JwtProblem, UnverifiedJwt, check_times, read_jwt

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST: Final = 300.0
"""How far ahead ``exp`` may be, in seconds."""
EARLY: Final = 10.0
"""How far ahead ``iat`` and ``nbf`` may be, in seconds."""

_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})
_DUMMIES: Final[dict[str, dict[str, Any]]] = {
    "EC": dict(ECKey.generate_key("P-256").as_dict(private=False)),
    "OKP": dict(OKPKey.generate_key("Ed25519").as_dict(private=False)),
    "RSA": dict(RSAKey.import_key(RSAPublicNumbers(65537, (1 << 2047) | 1).public_key()).as_dict(private=False)),
}
"""Keys that verify in place of those that aren't there."""


class ClientAuthenticator:
    """Tells which client sends a form."""

    def __init__(self, issuer: str, clock: Clock, uses: Uses, database: Database, partners: PartnerService) -> None:
        self._issuer = issuer
        self._clock = clock
        self._uses = uses
        self._database = database
        self._partners = partners
        self._keys = HeldKeys()

    async def authenticate(self, form: dict[str, str], authorization: str | None = None) -> Client:
        """The client whose key signed the form's assertion, which works once.

        Raises :class:`OAuthError` (invalid_client). Its description tells what the assertion alone shows; unknown and
        disabled clients, unknown keys and wrong signatures are one answer, after one verification.
        """
        assertion = self._read(form, authorization)
        client_id = assertion.text("sub")
        async with self._database.read() as tx:
            client = await self._partners.client(tx, client_id)
        jwk = None
        if client is not None and client.active:
            kid = assertion.header.get("kid")
            jwk = _key(await self._partners.keys(client, kid if isinstance(kid, str) else None), assertion)
        # With or without a key the work is the same: one is found by its JWK, and then it verifies.
        _, key = self._keys.find(jwk or _DUMMIES[KEY_TYPES[assertion.algorithm]])
        signed = assertion.is_signed_by(key)
        if client is None or jwk is None or not signed:
            raise _refuse("the client is unknown, or the signature is not by a key registered for it")
        await self._use(client_id, assertion)
        return client

    def _read(self, form: dict[str, str], authorization: str | None) -> UnverifiedJwt:
        if authorization is not None or "client_secret" in form:
            raise _refuse("authenticate with private_key_jwt and nothing else")
        if "client_assertion" not in form:
            raise _refuse("client_assertion is missing: authenticate with private_key_jwt")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise _refuse(f"client_assertion_type must be {ASSERTION_TYPE}")
        try:
            assertion = read_jwt(form["client_assertion"])
            self._check(assertion)
        except JwtProblem as problem:
            raise _refuse(f"client_assertion: {problem}") from None
        if form.get("client_id", assertion.claims["sub"]) != assertion.claims["sub"]:
            raise _refuse("client_id is not the assertion's sub")
        return assertion

    def _check(self, assertion: UnverifiedJwt) -> None:
        kind = assertion.header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
            raise JwtProblem("typ must be JWT or client-authentication+jwt")
        if assertion.text("iss") != assertion.text("sub"):
            raise JwtProblem("iss and sub must both be the client's id")
        audience = assertion.claims.get("aud")
        if audience != self._issuer:
            seen = repr(audience) if isinstance(audience, str) else type(audience).__name__
            raise JwtProblem(f"aud must be {self._issuer} as a string; it is {seen}")
        assertion.text("jti")
        now = self._clock.now()
        expires = assertion.moment("exp")
        if expires is None:
            raise JwtProblem("exp is missing")
        if expires - now.timestamp() > LONGEST:
            raise JwtProblem(f"exp is more than {LONGEST:.0f} s ahead of this server's clock")
        check_times(assertion, now, early=EARLY)

    async def _use(self, client_id: str, assertion: UnverifiedJwt) -> None:
        expires = assertion.claims["exp"]
        left = timedelta(seconds=expires - self._clock.now().timestamp() + 1)
        digest = b64url(hashlib.sha256(f"{client_id}\0{assertion.claims['jti']}".encode()).digest())
        try:
            first = await self._uses.first(f"assertion:{digest}", left, made=_made(assertion, expires))
        except Forgotten:
            raise _refuse("client_assertion: it was made before this server started: make a new one") from None
        if not first:
            raise _refuse("client_assertion: its jti was used before")


def _made(assertion: UnverifiedJwt, expires: float) -> float:
    """When it was made, at the earliest."""
    made = assertion.moment("iat")
    if made is None:
        made = assertion.moment("nbf")
    return expires - LONGEST if made is None else made


def _key(keys: Sequence[dict[str, Any]], assertion: UnverifiedJwt) -> dict[str, Any] | None:
    """The JWK of the client's key that the header names; without a name, the only one that suits the algorithm."""
    algorithm = assertion.algorithm
    kid = assertion.header.get("kid")
    suitable = [
        jwk
        for jwk in keys
        if jwk["kty"] == KEY_TYPES[algorithm] and (kid is None or jwk["kid"] == kid) and _same(jwk, algorithm)
    ]
    return suitable[0] if len(suitable) == 1 else None


def _same(jwk: dict[str, str], algorithm: str) -> bool:
    """Whether the key may be used with the algorithm: ``EdDSA`` and ``Ed25519`` are one."""
    return jwk["kty"] == "OKP" or algorithm == jwk.get("alg", algorithm)


def _refuse(description: str) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_CLIENT, description)
