"""An ID token of the sign-in provider: whatever isn't for us, and for this sign-in, signs nobody in."""

from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from tests.support.oauth import ABSENT, signed, unsigned
from xinyi.kernel.errors import XinyiError
from xinyi.oauth.jose import JwtProblem
from xinyi.oauth.upstream import UpstreamSignIn, _Unfit
from xinyi.settings import Settings, SignIn
from xinyi.storage.cache import MemoryCache
from xinyi.wiring import Services

ISSUER = "https://identity.example"
NONCE = "the-nonce-of-this-sign-in"
KEY = ECKey.generate_key("P-256")
RSA = RSAKey.generate_key(2048)
SIGN_IN = SignIn(ISSUER, "credit", None, Path("secret"), "openid", "resident_id", None, "name", "company_name")


class Published:
    """A provider whose keys are these."""

    async def keys(self, *, again: bool = False) -> list[dict[str, Any]]:
        rsa = {**RSA.as_dict(private=False), "kid": "rsa"}
        return [{**KEY.as_dict(private=False), "kid": "op-1"}, rsa]


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory, clock: ManualClock) -> UpstreamSignIn:
    folder = tmp_path_factory.mktemp("sandbox")
    services = Services.build(Settings(data_dir=folder), clock)
    upstream = UpstreamSignIn(
        SIGN_IN,
        "https://credit.example",
        clock,
        MemoryCache(clock),
        fresh_keys(folder / "keys").opaque,
        services.database,
        subjects=services.subjects,
        sessions=services.sessions,
    )
    upstream._provider = Published()  # type: ignore[assignment]  # it is asked for keys alone
    return upstream


def claims(clock: ManualClock, **changes: Any) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    usual = {"iss": ISSUER, "sub": "s", "aud": "credit", "nonce": NONCE, "iat": now, "exp": now + 300}
    return {
        **usual,
        **{
            name: now + value if name in {"iat", "exp", "nbf"} and isinstance(value, int) else value
            for name, value in changes.items()
        },
    }


def token(clock: ManualClock, header: dict[str, Any] | None = None, key: Any = KEY, **changes: Any) -> str:
    return signed({"alg": "ES256", "kid": "op-1", **(header or {})}, claims(clock, **changes), key)


@pytest.mark.parametrize(
    "changes",
    [{}, {"aud": ["credit"]}, {"aud": ["credit", "other"], "azp": "credit"}, {"azp": "credit"}, {"iat": 9}],
    ids=str,
)
async def test_one_that_is_for_us_is_taken(upstream: UpstreamSignIn, clock: ManualClock, changes: dict[str, Any]):
    assert (await upstream._checked(token(clock, **changes), NONCE))["sub"] == "s"


async def test_the_profiles_algorithms_are_taken(upstream: UpstreamSignIn, clock: ManualClock):
    assert await upstream._checked(token(clock, {"alg": "PS256", "kid": "rsa"}, RSA), NONCE)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": ABSENT},
        {"aud": "other"},
        {"aud": ABSENT},
        {"aud": ["credit", "other"]},
        {"aud": ["credit", "other"], "azp": "other"},
        {"azp": "other"},
        {"nonce": "another"},
        {"nonce": ABSENT},
        {"exp": 0},
        {"exp": ABSENT},
        {"exp": "soon"},
        {"iat": 11},
        {"iat": -3600},
        {"iat": ABSENT},
        {"nbf": 60},
        {"sub": ""},
        {"sub": ABSENT},
        {"sub": 7},
    ],
    ids=str,
)
async def test_one_that_isnt_for_us_is_refused(upstream: UpstreamSignIn, clock: ManualClock, changes: dict[str, Any]):
    with pytest.raises((_Unfit, JwtProblem, XinyiError)):
        await upstream._checked(token(clock, **changes), NONCE)


async def test_one_that_the_provider_didnt_sign_is_refused(upstream: UpstreamSignIn, clock: ManualClock):
    stranger = ECKey.generate_key("P-256")
    public = OctKey.import_key(str(KEY.as_dict(private=False)["x"]))
    for text in (
        token(clock, key=stranger),
        token(clock, {"kid": "unknown"}),
        token(clock, {"kid": ["op-1"]}),
        token(clock, {"kid": "rsa"}),
        token(clock, {"alg": "RS256", "kid": "rsa"}, RSA),
        token(clock, {"alg": "HS256"}, public),
        unsigned(claims(clock)),
        "",
        "None",
        token(clock)[:-2],
    ):
        with pytest.raises((_Unfit, JwtProblem)):
            await upstream._checked(text, NONCE)
