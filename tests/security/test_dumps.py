"""Who steals a copy of the database or of the memory store holds nothing that opens anything, and no identifier.

After a tour through everything each value of each table, SQLite's files byte by byte, and each key and value of the
memory store are searched for what the tour was given; and each text that looks like a token is tried as one.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import select

from tests.support.canaries import Cage
from tests.support.oauth import Platform
from tests.support.tenants import SCENARIO, Tenant, new_tenant
from tests.support.tour import secrets_of
from xinyi.sandbox import personas
from xinyi.storage.types import metadata

PERSONA: Final = "person-a"
_TOKENS: Final = re.compile(r"[\w-]{20,}(?:\.[\w-]{20,}){2}|(?<![\w-])[\w-]{40,}(?![\w-])", re.ASCII)


class Stolen:
    """What a thief of everything that is stored would have: texts by where they were."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def tokens(self) -> set[str]:
        """Whatever could be tried as a token, a code, a cookie or a request_uri."""
        return {found for text in self.texts.values() for found in _TOKENS.findall(text)}


async def steal(platform: Platform) -> Stolen:
    """Copies the tables, the files, and the memory store."""
    database = platform.service("database")
    texts: dict[str, str] = {}
    async with database.read() as tx:
        for table in metadata.sorted_tables:
            rows = await tx.execute(select(*table.columns))
            texts[table.name] = "\n".join(_text(value) for row in rows for value in row)
    for file in database.files:
        texts[file.name] = file.read_bytes().decode("latin-1")
    texts["memory"] = platform.remembered()
    return Stolen(texts)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1") + " " + value.hex()
    return str(value)


@pytest.fixture(scope="module")
async def tenant(platform: Platform) -> Tenant:
    """Somebody who has been through everything, with a flow, a code and a session that are still open."""
    tenant = await new_tenant(platform, PERSONA)
    tenant.request_uri = (await tenant.partner.par(SCENARIO)).json()["request_uri"]
    tenant.code = await platform.subject().agree(tenant.partner, tenant.request_uri, "person-b")
    tenant.request_uri = (await tenant.partner.par(SCENARIO)).json()["request_uri"]
    await tenant.browser.open(tenant.partner, tenant.request_uri)
    return tenant


def identifiers() -> Iterator[str]:
    return (each.identifier.value for each in personas.personas())


async def test_no_secret_and_no_identifier_stands_in_what_is_stored(platform: Platform, tenant: Tenant):
    cage = Cage([*secrets_of(tenant), *identifiers()])
    stolen = await steal(platform)
    assert {where: found for where, text in stolen.texts.items() if (found := cage.planted_in(text))} == {}
    assert tenant.things["check"] in stolen.texts["checks"], "the tables were read"
    assert len(stolen.texts["memory"]) > 1000, "and the memory store"


async def test_whatever_looks_like_a_token_opens_nothing(platform: Platform, tenant: Tenant):
    stolen = await steal(platform)
    tokens = stolen.tokens()
    assert len(tokens) > 20
    for token in tokens:
        for answer in await tried(platform, tenant, token):
            assert answer.status_code in {303, 400, 401}, (token, answer.text)
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/sign-in"), token


async def tried(platform: Platform, tenant: Tenant, token: str) -> list[httpx.Response]:
    """What the platform says to ``token`` as an access token, a code, a refresh token, a request_uri, a cookie."""
    partner = tenant.partner
    browser = platform.subject().http
    cookies = {cookie.name for cookie in tenant.browser.http.cookies.jar}
    return [
        await partner.call("GET", "/v1/events", token),
        await partner.redeem(token),
        await partner.post("/oauth2/token", {"grant_type": "refresh_token", "refresh_token": token}),
        await browser.get(
            "/oauth2/authorize",
            params={"client_id": partner.id, "request_uri": f"urn:ietf:params:oauth:request_uri:{token}"},
        ),
        *[
            await browser.get("/me", headers={"cookie": f"{name}={token}", "accept": "text/html"})
            for name in sorted(cookies)
        ],
    ]


async def test_a_secret_that_is_stored_would_be_found(platform: Platform, tenant: Tenant):
    """In a table, in the files, and in the memory store: each is given one on purpose."""
    code, token = tenant.code, tenant.bound["access_token"]
    identifier = next(identifiers())
    cage = Cage([code, token, identifier])
    database, cache = platform.service("database"), platform.service("cache")
    async with database.transaction() as tx:
        partners = metadata.tables["partners"]
        await tx.execute(partners.update().values(contact=f"{code} {identifier}"))
    await cache.put("planted", timedelta(minutes=5), token.encode())
    stolen = await steal(platform)
    assert cage.planted_in(stolen.texts["partners"]) == {code, identifier}
    assert cage.planted_in(stolen.texts["memory"]) == {token}
    if database.files:
        assert code in cage.planted_in("".join(stolen.texts[file.name] for file in database.files))
    assert code in stolen.tokens()
    good = await tenant.partner.redeem(code)
    assert good.status_code == 200, "and one that works is one that the other test would tell"
