"""The register of partners, sources and clients."""

import pytest
from joserfc.jwk import ECKey

from tests.support.clock import ManualClock
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Text
from xinyi.partners.service import PartnerService, require_active
from xinyi.storage.database import Database
from xinyi.web.outbound import Outbound
from xinyi.web.principal import Scope

pytestmark = pytest.mark.anyio

JWKS = {"keys": [{**ECKey.generate_key("P-256").as_dict(private=False), "kid": "k1"}]}


@pytest.fixture
def partners() -> PartnerService:
    return PartnerService(ManualClock(), Outbound(), sandbox=True)


async def test_a_client_is_found_with_its_partner_keys_and_scenarios(database: Database, partners: PartnerService):
    async with database.transaction() as tx:
        partner = await partners.add_partner(tx, Text("示例银行", "Example Bank"), "bank", "privacy@bank.example")
        made = await partners.add_client(
            tx,
            partner.id,
            "loans",
            JWKS,
            redirect_uris=["https://bank.example/back"],
            scenarios={"microloan-prescreen": None, "trade-finance": ["aeo", "aeo.level"]},
        )
    async with database.read() as tx:
        client = await partners.client(tx, made.id)
    assert client == made
    assert client is not None
    assert client.partner == partner
    assert client.scenarios == {"microloan-prescreen": None, "trade-finance": frozenset({"aeo", "aeo.level"})}
    assert client.scopes == {Scope.CHECKS, Scope.CONSENTS, Scope.PARTNER}
    require_active(client)


async def test_a_sources_client_may_supply_records_and_nothing_else(database: Database, partners: PartnerService):
    async with database.transaction() as tx:
        source, client = await partners.add_source(tx, "tax-bureau", Text("税务", "Tax"), ["TAX_RATING"], JWKS)
        assert client is not None
        assert await partners.client(tx, client.id) == client
    assert (client.source, client.partner, client.scopes) == (source, None, frozenset({Scope.RECORDS}))


async def test_a_sources_id_is_taken_once(database: Database, partners: PartnerService):
    async with database.transaction() as tx:
        _, client = await partners.add_source(tx, "tax-bureau", Text("税务", "Tax"), ["TAX_RATING"])
        assert client is None
        with pytest.raises(XinyiError) as refused:
            await partners.add_source(tx, "tax-bureau", Text("税务", "Tax"), ["TAX_RATING"])
    assert refused.value.code is Code.WRONG_STATE


async def test_a_suspended_partner_is_told_apart_from_a_disabled_client(database: Database, partners: PartnerService):
    async with database.transaction() as tx:
        partner = await partners.add_partner(tx, Text("示例银行", "Example Bank"), "bank", "privacy@bank.example")
        made = await partners.add_client(tx, partner.id, "loans", JWKS)
        await partners.suspend_partner(tx, partner.id)
        suspended = await partners.client(tx, made.id)
        await partners.resume_partner(tx, partner.id)
        resumed = await partners.client(tx, made.id)
        await partners.disable_client(tx, made.id)
        disabled = await partners.client(tx, made.id)
    assert suspended is not None
    assert resumed is not None
    assert disabled is not None
    with pytest.raises(XinyiError) as refused:
        require_active(suspended)
    assert refused.value.code is Code.PARTNER_SUSPENDED
    require_active(resumed)
    with pytest.raises(XinyiError) as refused:
        require_active(disabled)
    assert refused.value.code is Code.NOT_ENTITLED


async def test_what_is_not_there_cannot_be_changed(database: Database, partners: PartnerService):
    async with database.transaction() as tx:
        assert await partners.client(tx, "cli_nobody") is None
        for change in (
            partners.disable_client(tx, "cli_nobody"),
            partners.suspend_partner(tx, "prt_nobody"),
            partners.resume_partner(tx, "prt_nobody"),
            partners.suspend_source(tx, "nobody"),
            partners.resume_source(tx, "nobody"),
            partners.add_client(tx, "prt_nobody", "loans", JWKS),
        ):
            with pytest.raises(XinyiError) as refused:
                await change
            assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("name", ["", " edge", "two\nlines", "bidi\u202e", "x" * 101])
async def test_names_are_short_and_printable(database: Database, partners: PartnerService, name: str):
    async with database.transaction() as tx:
        with pytest.raises(XinyiError) as refused:
            await partners.add_partner(tx, Text("名", name), "bank", "privacy@bank.example")
    assert (refused.value.code, refused.value.source) == (Code.INVALID, "name_en")
