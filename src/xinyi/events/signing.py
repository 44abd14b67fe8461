"""Standard Webhooks: how a receiver knows that a message is from here, whole and fresh.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ..kernel.clock import epoch_seconds

PREFIX: Final = "whsec_"
_BYTES: Final = 32  # the specification asks for 24 to 64


def new_secret() -> bytes:
    """A secret of 256 random bits."""
    return secrets.token_bytes(_BYTES)


def shown(secret: bytes) -> str:
    """The secret as the specification writes it: ``whsec_`` and base64."""
    return PREFIX + b64encode(secret).decode()


def signed_headers(message_id: str, at: datetime, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers of a message that is sent ``at`` this moment: one signature (HMAC-SHA-256) for each of ``keys``."""
    timestamp = str(epoch_seconds(at))
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = (b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
