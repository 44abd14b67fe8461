"""Browser sessions of signed-in subjects, and the tokens that guard their forms.

A cookie holds a random value; the cache holds the session under that value's keyed hash, so that a dump of the cache
opens no session.
"""

import hmac
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from ..kernel.text import Text
from ..storage.cache import Cache
from ..storage.keys import Secret
from ..storage.opaque import keyed_hash, new_opaque
from .rates import Limit, Rates, noting

_KEPT: Final = "session"

IDLE: Final = timedelta(minutes=30)
"""A session ends when nothing was asked in it for so long."""
LONGEST: Final = timedelta(hours=12)
"""A session ends after this, however busy."""


class Upstream(Struct, frozen=True):
    """The sign-in elsewhere that a session comes from."""

    names: tuple[str, ...]
    """Keyed hashes of whatever that place may later say is signed out: the person, and their session there."""
    asked_at: datetime
    """When the person was sent there."""


class SubjectSession(Struct, frozen=True):
    """One subject signed in at one browser."""

    id: str
    """The keyed hash of the cookie's value: names the session, opens nothing."""
    subject_id: str
    kind: str
    """``natural_person`` or ``legal_person``."""
    display_name: Text
    began_at: datetime
    representative_id: str | None = None
    """Who acts for a legal person, as the sign-in told it: the representative's subject id."""
    upstream: Upstream | None = None


async def session_required(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard: somebody is signed in. It goes before the body is read, and keeps the session for :func:`session_of`.

    Raises ``XinyiError(SESSION_REQUIRED)``. The application's state has the :class:`Sessions` as ``sessions``.
    """
    connection.scope["state"][_KEPT] = await connection.app.state.sessions.require(connection)


def session_of(request: Request[Any, Any, Any]) -> SubjectSession:
    """The session that :func:`session_required` found."""
    session = request.scope["state"][_KEPT]
    assert isinstance(session, SubjectSession)
    return session


class Sessions:
    """Makes, finds and ends sessions; makes and checks the tokens in forms.

    ``secure``: the issuer is https; then cookies carry the ``__Host-`` prefix (RFC 6265bis §4.1.3.2).
    ``representative_within``: so long after the sign-in a representative may decide for their company.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        opaque: Secret,
        rates: Rates,
        *,
        secure: bool,
        representative_within: timedelta,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._opaque = opaque
        self._rates = rates
        self._secure = secure
        self._representative_within = representative_within
        prefix = "__Host-" if secure else ""
        self.cookie_name: Final = prefix + "xinyi_session"
        self.browser_cookie_name: Final = prefix + "xinyi_browser"

    async def create(
        self,
        *,
        subject_id: str,
        kind: str,
        display_name: Text,
        representative_id: str | None = None,
        upstream: Upstream | None = None,
    ) -> tuple[SubjectSession, Cookie]:
        """A new session after a sign-in, and the cookie that the response must set."""
        value = new_opaque()
        session = SubjectSession(
            id=self._hash(value),
            subject_id=subject_id,
            kind=kind,
            display_name=display_name,
            began_at=self._clock.now(),
            representative_id=representative_id,
            upstream=upstream,
        )
        await self._cache.put(_key(session.id), IDLE, msgspec.json.encode(session))
        return session, self._cookie(self.cookie_name, value)

    async def read(self, request: ASGIConnection[Any, Any, Any, Any]) -> SubjectSession | None:
        """The session of the browser that sends ``request``, kept alive by it; ``None`` when nobody is signed in.

        Each request counts against the subject's rate, over all of their sessions. Raises ``XinyiError(RATE_LIMITED)``.
        """
        value = request.cookies.get(self.cookie_name)
        if not value:
            return None
        key = _key(self._hash(value))
        found = await self._cache.touch(key, IDLE)
        if found is None:
            return None
        session = msgspec.json.decode(found, type=SubjectSession)
        if self._clock.now() >= session.began_at + LONGEST or await self._is_signed_out(session.upstream):
            await self._cache.delete(key)
            return None
        counted = self._rates.count(Limit.REQUESTS, session.subject_id)
        try:
            await counted.settle(noting(request.scope))
        finally:
            counted.drop()
        return session

    async def require(self, request: ASGIConnection[Any, Any, Any, Any]) -> SubjectSession:
        """As :meth:`read`; raises ``XinyiError(SESSION_REQUIRED)`` when nobody is signed in."""
        session = await self.read(request)
        if session is None:
            raise XinyiError(Code.SESSION_REQUIRED)
        return session

    def decides(self, session: SubjectSession) -> bool:
        """Whether whoever is signed in may decide for the subject now.

        A representative may for a while after the sign-in: then the place that knows for whom they act is asked again.
        """
        recent = self._clock.now() < session.began_at + self._representative_within
        return session.representative_id is None or recent

    def require_deciding(self, session: SubjectSession) -> None:
        """Raises ``XinyiError(SESSION_REQUIRED)`` unless :meth:`decides`."""
        if not self.decides(session):
            raise XinyiError(Code.SESSION_REQUIRED, "a representative signs in again to decide for the company")

    async def sign_out(self, names: Collection[str]) -> None:
        """Ends every session that comes from what one of these names stands for, at once in all workers.

        One whose person was sent to sign in before this, and comes back later, is over as well.
        """
        at = msgspec.json.encode(self._clock.now())
        for name in names:
            await self._cache.put(_signed_out(name), LONGEST + IDLE, at)

    async def _is_signed_out(self, upstream: Upstream | None) -> bool:
        if upstream is None:
            return False
        found = [await self._cache.get(_signed_out(name)) for name in upstream.names]
        return any(at is not None and upstream.asked_at <= msgspec.json.decode(at, type=datetime) for at in found)

    async def end(self, session: SubjectSession) -> Cookie:
        """Signs out at once; the response sets the cookie that is given back."""
        await self._cache.delete(_key(session.id))
        return self._cookie(self.cookie_name, "", max_age=0)

    def browser(self, request: Request[Any, Any, Any]) -> str | None:
        """Names the browser, signed in or not, by the keyed hash of its own cookie; ``None`` for a new one."""
        value = request.cookies.get(self.browser_cookie_name)
        return self._hash(value) if value else None

    def new_browser(self) -> tuple[str, Cookie]:
        """A name for a browser that has none yet, and the cookie that the response must set."""
        value = new_opaque()
        return self._hash(value), self._cookie(self.browser_cookie_name, value)

    def csrf(self, session: SubjectSession | str, purpose: str) -> str:
        """The token for one form: bound to the session (or the browser's name, before sign-in) and to ``purpose``."""
        owner = session if isinstance(session, str) else session.id
        return keyed_hash(self._opaque, "csrf", f"{owner}\0{purpose}")

    def check_csrf(self, session: SubjectSession | str, purpose: str, token: str | None) -> None:
        """Raises ``XinyiError(CSRF)`` unless ``token`` is :meth:`csrf`'s for the same session and purpose."""
        wanted = self.csrf(session, purpose)
        if token is None or not hmac.compare_digest(wanted.encode(), token.encode()):
            raise XinyiError(Code.CSRF)

    def _hash(self, value: str) -> str:
        return keyed_hash(self._opaque, "session", value)

    def _cookie(self, name: str, value: str, max_age: int | None = None) -> Cookie:
        return Cookie(
            key=name, value=value, max_age=max_age, path="/", httponly=True, secure=self._secure, samesite="lax"
        )


def _signed_out(name: str) -> str:
    return f"signed-out:{name}"


def _key(session_id: str) -> str:
    return f"session:{session_id}"
