"""Refresh tokens outlive the secret that they were hashed with, as long as its version is kept."""

from tests.support.clock import ManualClock
from xinyi.oauth.access_token import AccessTokens
from xinyi.oauth.codes import Codes
from xinyi.oauth.refresh_tokens import RefreshTokens
from xinyi.storage.cache import MemoryCache
from xinyi.storage.database import Database
from xinyi.storage.keys import KeyRing, Secret, Version

V1, V2 = Version("v1"), Version("v2")
OLD = Secret(V1, {V1: b"1" * 32})
NEW = Secret(V2, {V1: b"1" * 32, V2: b"2" * 32})
OTHER = Secret(V2, {V2: b"2" * 32})


def tokens(database: Database, secret: Secret, clock: ManualClock) -> tuple[RefreshTokens, Codes]:
    cache = MemoryCache(clock)
    access_tokens = AccessTokens("https://credit.example", clock, cache, KeyRing([], clock))
    return RefreshTokens(database, clock, secret, access_tokens), Codes(cache, secret)


async def test_a_token_is_found_after_the_secret_was_rotated(database: Database):
    clock = ManualClock()
    old, _ = tokens(database, OLD, clock)
    given = await old.issue(client_id="cli_1", consent_id="cns_1", family="f")
    for secret, found in ((OLD, True), (NEW, True), (OTHER, False)):
        later, _ = tokens(database, secret, clock)
        assert (await later.find(given) is not None) is found


async def test_a_code_that_comes_again_is_known_after_the_secret_was_rotated(database: Database):
    clock = ManualClock()
    old, codes = tokens(database, OLD, clock)
    code = "the-code"
    given = await old.issue(client_id="cli_1", consent_id="cns_1", family=codes.family(code))
    later, codes = tokens(database, NEW, clock)
    await later.revoke_families(codes.families(code))
    assert await later.find(given) is None
    assert await old.find(given) is None
