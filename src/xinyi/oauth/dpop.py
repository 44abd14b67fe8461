"""Proofs of possession (RFC 9449): the caller holds the key that the token, code or request is bound to."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from ..kernel.canonical import b64url
from ..kernel.clock import Clock
from ..partners.keys import NotAKey
from ..storage.once import Forgotten, Uses
from .jose import KEY_TYPES, HeldKeys, JwtProblem, PublicKey, UnverifiedJwt, check_times, read_jwt
from .nonces import Nonces

LATE: Final = 60.0
"""How far behind ``iat`` may be, in seconds."""
EARLY: Final = 10.0
"""How far ahead ``iat`` may be, in seconds."""

_REMEMBER: Final = timedelta(seconds=LATE + EARLY + 5)
_PORTS: Final = {"https": 443, "http": 80}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class Proof(Struct, frozen=True):
    """A proof that was checked."""

    jkt: str
    """The thumbprint of the key that made it."""
    digest: str
    """Names it among all others."""
    made: float
    """When, in seconds since 1970."""


class ProofVerifier:
    """Checks proofs against the configured issuer's address, never against what a header says about the host."""

    def __init__(self, issuer: str, clock: Clock, uses: Uses, nonces: Nonces | None = None) -> None:
        self._issuer = issuer
        self._nonces = nonces
        self._clock = clock
        self._uses = uses
        self._keys = HeldKeys()

    async def verify(self, proofs: Sequence[str], method: str, path: str) -> str:
        """The thumbprint (RFC 7638) of the key that made the only one of ``proofs``, which works once.

        Raises :class:`JwtProblem` with what is wrong with the proof.
        """
        proof = self.read(proofs, method, path)
        await self.use(proof)
        return proof.jkt

    def read(
        self, proofs: Sequence[str], method: str, path: str, *, access_token: str | None = None, jkt: str | None = None
    ) -> Proof:
        """The only one of ``proofs``, which is as it should be; :meth:`use` tells whether it comes for the first time.

        ``access_token`` and ``jkt``: the token it comes with, and the thumbprint that is bound to. Raises
        :class:`JwtProblem` with what is wrong with the proof.
        """
        if len(proofs) != 1:
            raise JwtProblem("exactly one DPoP header is needed")
        proof = read_jwt(proofs[0])
        made = self._check(proof, method, path)
        if access_token is not None:
            wanted = b64url(hashlib.sha256(access_token.encode()).digest())
            if not hmac.compare_digest(proof.text("ath").encode(), wanted.encode()):
                raise JwtProblem("ath is not the access token's hash")
        made_by, key = self._key(proof)
        if jkt is not None and made_by != jkt:
            raise JwtProblem("the proof is by another key than the one the token is bound to")
        if not proof.is_signed_by(key):
            raise JwtProblem("the signature is not by the key in the header")
        if self._nonces is not None:
            self._nonces.require(proof.claims.get("nonce"))
        return Proof(made_by, b64url(hashlib.sha256(f"{made_by}\0{proof.claims['jti']}".encode()).digest()), made)

    async def use(self, proof: Proof) -> None:
        """Raises :class:`JwtProblem` when the proof was used before, or that can't be known."""
        try:
            first = await self._uses.first(f"dpop:{proof.digest}", _REMEMBER, made=proof.made)
        except Forgotten:
            raise JwtProblem("it was made before this server started: make a new one") from None
        if not first:
            raise JwtProblem("its jti was used before")

    def _check(self, proof: UnverifiedJwt, method: str, path: str) -> float:
        """When the proof was made, in seconds since 1970."""
        if proof.header.get("typ") != "dpop+jwt":
            raise JwtProblem("typ must be dpop+jwt")
        proof.text("jti")
        if proof.text("htm", 16) != method:
            raise JwtProblem(f"htm must be {method}")
        htu, address = proof.text("htu", 2048), self._issuer + path
        if htu != address and _address(htu) != _address(address):
            raise JwtProblem(f"htu must be {address}")
        made = proof.moment("iat")
        if made is None:
            raise JwtProblem("iat is missing")
        now = self._clock.now()
        if now.timestamp() - made > LATE:
            behind = now.timestamp() - made
            raise JwtProblem(f"iat is {behind:.0f} s behind this server's clock; {LATE:.0f} s are tolerated")
        check_times(proof, now, early=EARLY)
        return made

    def _key(self, proof: UnverifiedJwt) -> tuple[str, PublicKey]:
        """The key in the header, and its thumbprint before it."""
        jwk = proof.header.get("jwk")
        if not isinstance(jwk, dict) or jwk.get("kty") != KEY_TYPES[proof.algorithm]:
            raise JwtProblem("the header's jwk must be a public key that suits alg")
        if _PRIVATE & jwk.keys():
            raise JwtProblem("the header's jwk is a private key: never send it, and use a new one from now on")
        try:
            return self._keys.find(jwk)
        except NotAKey as problem:
            raise JwtProblem(f"the header's jwk: {problem}") from None


def _address(uri: str) -> tuple[str, str | None, int | None, str]:
    """What of a URI is compared: no query, no fragment, and normalised (RFC 9449 §4.3, RFC 3986 §6.2)."""
    try:
        parts = urlsplit(uri)
        address = parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), parts.path or "/"
    except ValueError:
        raise JwtProblem("htu is not a URI") from None
    if "@" in parts.netloc:
        raise JwtProblem("htu has a user, which this server's addresses have not")
    return address
