"""Sessions of signed-in subjects, and the tokens in their forms."""

from datetime import timedelta
from typing import Any

import pytest
from litestar import Request
from litestar.datastructures import Cookie
from litestar.testing import RequestFactory

from tests.support.clock import ManualClock
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Text
from xinyi.settings import Settings
from xinyi.storage.cache import MemoryCache
from xinyi.storage.keys import Secret, Version
from xinyi.web.rates import Rates
from xinyi.web.session import Sessions, SubjectSession

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sessions(clock: ManualClock) -> Sessions:
    secret = Secret(Version("v1"), {Version("v1"): b"k" * 32})
    cache = MemoryCache(clock)
    rates = Rates(cache, clock, Settings(rate_requests=20))
    return Sessions(cache, clock, secret, rates, secure=True, representative_within=timedelta(minutes=15))


async def signed_in(sessions: Sessions) -> tuple[SubjectSession, Request[Any, Any, Any]]:
    session, cookie = await sessions.create(subject_id="sub_1", kind="natural_person", display_name=Text("甲", "A"))
    return session, request_with(cookie)


def request_with(*cookies: Cookie) -> Request[Any, Any, Any]:
    return RequestFactory().get("/", cookies=list(cookies))


async def test_the_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts(sessions: Sessions):
    _, cookie = await sessions.create(subject_id="s", kind="n", display_name=Text("甲", "A"))
    assert cookie.key == "__Host-xinyi_session"
    assert (cookie.secure, cookie.httponly, cookie.samesite, cookie.path, cookie.domain) == (
        True, True, "lax", "/", None,
    )  # fmt: skip


async def test_a_session_ends_after_half_an_hour_of_silence(sessions: Sessions, clock: ManualClock):
    session, request = await signed_in(sessions)
    for _ in range(3):
        clock.advance(timedelta(minutes=29, seconds=59))
        assert await sessions.read(request) == session
    clock.advance(timedelta(minutes=30))
    assert await sessions.read(request) is None


async def test_a_session_ends_after_twelve_hours_however_busy(sessions: Sessions, clock: ManualClock):
    session, request = await signed_in(sessions)
    for _ in range(47):
        clock.advance(timedelta(minutes=15))
        assert await sessions.read(request) == session
    clock.advance(timedelta(minutes=15))
    assert await sessions.read(request) is None
    with pytest.raises(XinyiError) as refused:
        await sessions.require(request)
    assert refused.value.code is Code.SESSION_REQUIRED


async def test_signing_out_ends_the_session_at_once(sessions: Sessions):
    session, request = await signed_in(sessions)
    cookie = await sessions.end(session)
    assert (cookie.value, cookie.max_age) == ("", 0)
    assert await sessions.read(request) is None


async def test_a_strangers_cookie_opens_nothing(sessions: Sessions):
    session, _ = await signed_in(sessions)
    for value in ("x", session.id, ""):
        assert await sessions.read(request_with(Cookie(sessions.cookie_name, value=value))) is None
    assert await sessions.read(request_with()) is None


async def test_a_forms_token_is_for_one_session_and_one_purpose(sessions: Sessions):
    session, _ = await signed_in(sessions)
    other, _ = await signed_in(sessions)
    token = sessions.csrf(session, "withdraw")
    sessions.check_csrf(session, "withdraw", token)
    for owner, purpose, given in (
        (other, "withdraw", token),
        (session, "pause", token),
        (session, "withdraw", None),
        (session, "withdraw", token + "x"),
    ):
        with pytest.raises(XinyiError) as refused:
            sessions.check_csrf(owner, purpose, given)
        assert refused.value.code is Code.CSRF


async def test_a_browser_keeps_its_name(sessions: Sessions):
    name, cookie = sessions.new_browser()
    assert cookie.key == "__Host-xinyi_browser"
    assert sessions.browser(request_with(cookie)) == name
    assert sessions.browser(request_with()) is None
    sessions.check_csrf(name, "sign-in", sessions.csrf(name, "sign-in"))


async def test_one_subject_may_ask_so_often_in_all_of_their_sessions(sessions: Sessions, clock: ManualClock):
    browsers = [request for _, request in (await signed_in(sessions), await signed_in(sessions))]
    for number in range(20):
        assert await sessions.read(browsers[number % 2]) is not None
    for request in browsers:
        with pytest.raises(XinyiError) as refused:
            await sessions.read(request)
        assert refused.value.code is Code.RATE_LIMITED
    _, cookie = await sessions.create(subject_id="sub_2", kind="natural_person", display_name=Text("乙", "B"))
    assert await sessions.read(request_with(cookie)) is not None
    clock.advance(timedelta(minutes=1))
    assert await sessions.read(browsers[0]) is not None
