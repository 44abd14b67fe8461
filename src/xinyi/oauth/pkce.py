"""Proof Key for Code Exchange (RFC 7636), S256 only."""

import hmac
import re
from typing import Final

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from .errors import ErrorCode, OAuthError
from .forms import required

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def check_challenge(form: dict[str, str]) -> str:
    """The challenge of a request. Raises :class:`OAuthError` (invalid_request)."""
    challenge = required(form, "code_challenge")
    if form.get("code_challenge_method") != "S256":
        raise OAuthError(ErrorCode.INVALID_REQUEST, "code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "code_challenge must be 43 characters of base64url")
    return challenge


def is_answered(challenge: str, verifier: str) -> bool:
    """Whether ``verifier`` is what ``challenge`` was made of."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    return hmac.compare_digest(str(create_s256_code_challenge(verifier)), challenge)
