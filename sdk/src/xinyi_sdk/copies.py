"""Signed copies of written consents: what a subject agreed to, verified without asking the platform.

The platform signs that a signed-in subject agreed to this text at this moment. That isn't the subject's electronic
signature, and the copy says so.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from ._encoding import digest
from .checkpoints import in_use, read_json, read_signed
from .errors import CopyInvalid
from .models.common import ScenarioVersion, Text

__all__ = ["VerifiedCopy", "verify_consent_copy"]

COPY_TYPE: Final = "xinyi-consent+jws"


class VerifiedCopy(Struct, frozen=True, kw_only=True):
    """What a copy proves: who agreed to which ``text``, and when. ``statement`` says what the signature is."""

    iss: str
    consent_id: str
    partner_id: str
    partner: str
    sub_party_id: str | None = None
    sub_party: str | None = None
    subject: str
    scenario: ScenarioVersion
    language: str
    authorised_at: datetime
    expires_at: datetime
    notice_digest: str
    text_digest: str
    text: str
    statement: Text
    signed_at: datetime


def verify_consent_copy(text: str, jwks: Mapping[str, Any], *, issuer: str | None = None) -> VerifiedCopy:
    """Verifies the ``jws`` of ``consents.copy`` with nothing but the log's key set. Raises ``CopyInvalid``."""
    payload, _, published = read_signed(text, COPY_TYPE, jwks, CopyInvalid, "copy")
    copy = read_json(VerifiedCopy, payload, CopyInvalid, "copy")
    in_use(published, int(copy.signed_at.timestamp()), CopyInvalid)
    if issuer is not None and copy.iss != issuer:
        raise CopyInvalid("issuer", f"signed by {copy.iss}, not by {issuer}")
    if digest(copy.text.encode()) != copy.text_digest:
        raise CopyInvalid("text", "its text isn't the one that its digest is of")
    return copy
