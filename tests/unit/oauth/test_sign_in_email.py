"""The address that a sign-in vouches for is kept for the person alone."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.keys import fresh_keys
from tests.support.world import COMPANY, PERSON, World
from xinyi.oauth.upstream import UpstreamSignIn, _Metadata, _Pending
from xinyi.settings import SignIn
from xinyi.storage.cache import MemoryCache
from xinyi.subjects.model import SubjectKind

pytestmark = pytest.mark.anyio
ISSUER = "https://identity.example"
SIGN_IN = SignIn(ISSUER, "credit", None, Path("secret"), "openid", "resident_id", "uscc", "name", "company_name")
CLAIMS = {
    "sub": "s",
    "resident_id": PERSON.value,
    "uscc": COMPANY.value,
    "email": "resident@people.example",
    "email_verified": True,
}


class Provider:
    """A provider of which only its metadata is needed."""

    async def metadata(self) -> _Metadata:
        return _Metadata(ISSUER, f"{ISSUER}/auth", f"{ISSUER}/token", f"{ISSUER}/jwks")


async def kept(world: World, kind: SubjectKind, folder: Path, **changes: Any) -> str | None:
    """The address of the subject who signed in with these claims."""
    services = world.services
    upstream = UpstreamSignIn(
        SIGN_IN,
        "https://credit.example",
        world.clock,
        MemoryCache(world.clock),
        fresh_keys(folder / "keys").opaque,
        services.database,
        subjects=services.subjects,
        sessions=services.sessions,
    )

    async def claims(*_: object) -> dict[str, Any]:
        return {**CLAIMS, **changes}

    upstream._provider = Provider()  # type: ignore[assignment]  # it is asked for its metadata alone
    upstream._claims = claims  # type: ignore[assignment, method-assign]  # as if the provider had been asked
    pending = _Pending("browser", "/me", kind, world.clock.now() - timedelta(seconds=9))
    session, _ = await upstream._session(pending, "state", {"code": "c", "iss": ISSUER})
    async with services.database.read() as tx:
        return await services.subjects.email_of(tx, session.subject_id)


async def test_a_persons_address_is_kept_until_a_sign_in_comes_without(world: World, tmp_path: Path) -> None:
    assert await kept(world, SubjectKind.NATURAL_PERSON, tmp_path / "a") == CLAIMS["email"]
    assert await kept(world, SubjectKind.NATURAL_PERSON, tmp_path / "b", email_verified=False) is None


async def test_an_address_that_no_mail_can_go_to_is_not_kept(world: World, tmp_path: Path) -> None:
    assert await kept(world, SubjectKind.NATURAL_PERSON, tmp_path / "a", email="who..ever@people.example") is None


async def test_a_representatives_address_is_not_their_companys(world: World, tmp_path: Path) -> None:
    assert await kept(world, SubjectKind.LEGAL_PERSON, tmp_path / "a") is None
