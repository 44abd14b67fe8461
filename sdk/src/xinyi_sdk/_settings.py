"""From constructor arguments and XINYI_SDK_* variables to a ``Config``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ._engine import Config, secure_origin
from ._keys import PrivateKey
from .errors import ConfigurationError
from .observe import Observer

TIMEOUT: Final = 10.0
"""Seconds for each of: connect, send, wait for the next bytes."""
MAX_RETRIES: Final = 2


def config_from(
    base_url: str | None,
    client_id: str | None,
    private_key: PrivateKey | None,
    scopes: Sequence[str] | None,
    max_retries: int,
    on_event: Observer | None = None,
) -> Config:
    """What wasn't given is taken from the environment. Raises ``ConfigurationError``."""
    if isinstance(scopes, str):
        raise ConfigurationError("scopes must be a sequence of names, such as ['checks', 'consents']")
    from ._http import user_agent

    return Config(
        issuer=secure_origin(base_url or _required("base_url", "XINYI_SDK_BASE_URL")),
        client_id=client_id or _required("client_id", "XINYI_SDK_CLIENT_ID"),
        private_key=private_key if private_key is not None else _key_from_environment(),
        scopes=tuple(scopes) if scopes is not None else None,
        max_retries=retries(max_retries),
        user_agent=user_agent(),
        on_event=on_event,
    )


def retries(count: int) -> int:
    """``max_retries``, if it can be. Raises ``ConfigurationError``."""
    if count < 0:
        raise ConfigurationError("max_retries must be 0 or more")
    return count


def _required(argument: str, variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ConfigurationError(f"{argument} is missing: pass it, or set {variable}")
    return value


def _key_from_environment() -> PrivateKey:
    text, file = os.environ.get("XINYI_SDK_PRIVATE_KEY"), os.environ.get("XINYI_SDK_PRIVATE_KEY_FILE")
    if text:
        return text
    if file:
        return Path(file)
    raise ConfigurationError(
        "private_key is missing: pass it, or set XINYI_SDK_PRIVATE_KEY_FILE or XINYI_SDK_PRIVATE_KEY"
    )
