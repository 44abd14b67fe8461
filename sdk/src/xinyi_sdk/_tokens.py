"""What proves who calls: client assertions (RFC 7523), DPoP proofs (RFC 9449) and the cached tokens they obtain."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ._keys import SigningKey, access_token_hash

ASSERTION_SECONDS: Final = 60
KEPT_CONSENT_TOKENS: Final = 1000
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A DPoP-bound access token and the key it is bound to. Times are of the monotonic clock, in seconds."""

    value: str = field(repr=False)
    key: SigningKey
    refresh_at: float
    expires_at: float

    @classmethod
    def issued(cls, value: str, key: SigningKey, lifetime: float, now: float, random: Callable[[], float]) -> "Token":
        """A token that arrived just now.

        It is renewed early, at 75 to 90 % of its life, so that processes started together don't renew together.
        """
        return cls(value, key, now + lifetime * (0.75 + 0.15 * random()), now + lifetime * 0.97)


class TokenCache:
    """The client's own token, and those that are bound to one consent each."""

    def __init__(self) -> None:
        self.own: Token | None = None
        self._of_consents: OrderedDict[str, Token] = OrderedDict()

    def keep_for(self, consent_id: str, token: Token) -> None:
        """Keeps the token of the code flow; the oldest goes when there are too many."""
        self._of_consents[consent_id] = token
        while len(self._of_consents) > KEPT_CONSENT_TOKENS:
            self._of_consents.popitem(last=False)

    def of_consent(self, consent_id: str | None, now: float) -> Token | None:
        """The token bound to this consent, if there is one and it is still good."""
        token = self._of_consents.get(consent_id) if consent_id is not None else None
        return token if token is not None and now < token.expires_at else None

    def drop(self, token: Token) -> None:
        """Forgets this very token, and no newer one that another caller has put in its place."""
        if self.own is token:
            self.own = None
        for consent_id in [name for name, kept in list(self._of_consents.items()) if kept is token]:
            self._of_consents.pop(consent_id, None)


def client_assertion(key: SigningKey, client_id: str, issuer: str, now: float) -> str:
    """A fresh assertion for one try (RFC 7523 §3). The audience is the issuer, as a string (FAPI 2.0 §5.3.3.1)."""
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "iat": int(now),
        "exp": int(now) + ASSERTION_SECONDS,
        "jti": secrets.token_urlsafe(24),
    }
    return key.sign({"typ": "JWT", "kid": key.kid}, claims)


def dpop_proof(
    key: SigningKey, method: str, url: str, now: float, *, token: Token | None = None, nonce: str | None = None
) -> str:
    """A fresh proof for one try (RFC 9449 §4.2); ``htu`` is the address without query and fragment."""
    claims: dict[str, object] = {
        "jti": secrets.token_urlsafe(24),
        "htm": method,
        "htu": urlsplit(url)._replace(query="", fragment="").geturl(),
        "iat": int(now),
    }
    if token is not None:
        claims["ath"] = access_token_hash(token.value)
    if nonce is not None:
        claims["nonce"] = nonce
    return key.sign({"typ": "dpop+jwt", "jwk": dict(key.public)}, claims)
