"""Redirect URIs, as a client registers them. Requests must repeat one of them to the letter (RFC 9700 §4.1.3)."""

import re
from typing import Final
from urllib.parse import urlsplit

from ..kernel.errors import Code, XinyiError

MAX_LENGTH: Final = 2000
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_AUTHORITY: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[::1\])(?::[0-9]{1,5})?")
"""It becomes a source of a content security policy, where ``;``, ``,``, ``'`` and ``*`` mean something."""


def check_redirect_uri(uri: str, *, sandbox: bool) -> str:
    """The URI itself, when it may be registered: https, or in the sandbox http on the loopback.

    Its host has letters, digits, dots and hyphens alone; an international name is written in its A-labels.

    Raises ``XinyiError(INVALID)`` otherwise.
    """
    if len(uri) > MAX_LENGTH or not uri.isascii() or not uri.isprintable() or any(c in uri for c in ' "<>\\^`{|}'):
        raise _invalid("a redirect URI is at most 2000 characters that RFC 3986 allows")
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid("the redirect URI can't be parsed") from error
    if "#" in uri:
        raise _invalid("a redirect URI has no fragment")
    if not host or not _AUTHORITY.fullmatch(parts.netloc):
        raise _invalid("a redirect URI names a host, of letters, digits, dots and hyphens, and no user")
    if parts.scheme != "https" and not (parts.scheme == "http" and sandbox and host in _LOOPBACK):
        raise _invalid("a redirect URI is https (in the sandbox also http on the loopback)")
    return uri


def _invalid(detail: str) -> XinyiError:
    return XinyiError(Code.INVALID, detail, source="redirect_uri")
