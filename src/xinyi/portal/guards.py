"""Who calls ``/v1/me``: the portal's session cookie, and for what changes something the session's ``x-csrf-token``."""

from typing import Annotated, Any, Final

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter

from ..kernel.errors import Code
from ..web.session import Sessions, SubjectSession, session_of, session_required

CSRF_PURPOSE: Final = "me"

CsrfToken = Annotated[
    str | None,
    HeaderParameter(name="x-csrf-token", required=False, description="The token that `GET /v1/me/session` gives."),
]


async def signed_in(request: Request[Any, Any, Any]) -> SubjectSession:
    """The dependency ``session``, behind the guard."""
    return session_of(request)


async def acting(
    request: Request[Any, Any, Any], sessions: NamedDependency[Sessions], csrf_token: CsrfToken = None
) -> SubjectSession:
    """The dependency ``actor``, for what changes something.

    Raises ``XinyiError``: CSRF, or SESSION_REQUIRED when a company's representative has to sign in again.
    """
    session = session_of(request)
    sessions.check_csrf(session, CSRF_PURPOSE, csrf_token)
    sessions.require_deciding(session)
    return session


GUARDS: Final = (session_required,)
DEPENDENCIES: Final = {"session": Provide(signed_in), "actor": Provide(acting)}
SECURITY: Final[list[dict[str, list[str]]]] = [{"session": []}]

OF_READ: Final = (Code.SESSION_REQUIRED,)
OF_CHANGE: Final = (Code.SESSION_REQUIRED, Code.CSRF, Code.NOT_FOUND)
OF_BODY: Final = (Code.MALFORMED, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE, Code.INVALID)
"""The errors of operations that read, that change something, and that take a body."""
