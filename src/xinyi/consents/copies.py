"""Signed copies of written consents: a compact JWS (RFC 7515), which verifies offline with the ledger's public keys.

The platform signs that a signed-in subject agreed to this very text at this moment. That is not the subject's
electronic signature, and the copy says so.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from msgspec import Struct

from ..kernel.canonical import canonical_json, digest_bytes
from ..kernel.text import Language, Text
from ..storage.keys import ALGORITHM, KeyRing

TYPE: Final = "xinyi-consent+jws"
MEDIA_TYPE: Final = "application/jose"
STATEMENT: Final = Text(
    "本副本由平台签名，证明信用主体登录后于所载时间同意了这一文本；平台的签名不是信用主体的电子签名。",
    "The platform signs that the subject, signed in, agreed to this text at the time given. "
    "It isn't the subject's electronic signature.",
)


class ScenarioVersion(Struct, frozen=True):
    """The version of a scenario that was agreed to."""

    id: str
    version: int
    digest: str


class Copy(Struct, frozen=True, kw_only=True):
    """What a signed copy says. ``subject`` is the one by whom the partner knows the subject.

    ``sub_party`` is the name of the partner's branch or merchant that the consent is given to, if it is to one.
    """

    iss: str
    consent_id: str
    partner_id: str
    partner: str
    sub_party_id: str | None = None
    sub_party: str | None = None
    subject: str
    scenario: ScenarioVersion
    language: Language
    authorised_at: datetime
    expires_at: datetime
    notice_digest: str
    text_digest: str
    text: str
    statement: Text
    signed_at: datetime


class InvalidCopy(ValueError):
    """A copy that none of the keys signed, or whose text isn't the one that was signed for. ``str()`` says which."""


def text_digest(text: str) -> str:
    """``sha-256:…`` over the UTF-8 bytes of the text."""
    return digest_bytes(text.encode())


class CopySigner:
    """Signs with the ledger's keys, whose public halves stay published for ever."""

    def __init__(self, ring: KeyRing, issuer: str) -> None:
        self._ring = ring
        self.issuer = issuer

    def sign(self, copy: Copy) -> str:
        """The copy as a compact JWS."""
        key = self._ring.signing
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}
        return jws.serialize_compact(header, canonical_json(copy), key.key, algorithms=[ALGORITHM])


def verify(token: str, jwks: Mapping[str, Any]) -> Copy:
    """The copy in ``token``, by the ledger's JWK Set (``/v1/ledger/jwks``). Raises :class:`InvalidCopy`."""
    try:
        keys = [ECKey.import_key(dict(jwk)) for jwk in jwks["keys"] if jwk.get("crv") == "P-256"]
    except (JoseError, KeyError, TypeError, AttributeError) as error:
        raise InvalidCopy("the keys aren't a JWK Set") from error
    try:
        header = jws.extract_compact(token.strip().encode()).headers()
        if header.get("typ") != TYPE:
            raise InvalidCopy(f"its type isn't {TYPE}")
        # The name of a key is its thumbprint, whatever the set says.
        key = next((key for key in keys if key.thumbprint() == header.get("kid")), None)
        if key is None:
            raise InvalidCopy("none of the keys signed it")
        payload = jws.deserialize_compact(token.strip(), key, algorithms=[ALGORITHM]).payload
        copy = msgspec.json.decode(payload, type=Copy)
    except InvalidCopy:
        raise
    except (JoseError, ValueError) as error:
        raise InvalidCopy("its signature isn't valid") from error
    if text_digest(copy.text) != copy.text_digest:
        raise InvalidCopy("its text isn't the one that its digest stands for")
    return copy


def read(token: str) -> Copy:
    """The copy in ``token``, which this installation stored: nothing is verified."""
    return msgspec.json.decode(jws.extract_compact(token.encode()).payload, type=Copy)
