"""``/v1/partner``: a client's rights, and the keys that it changes without a gap."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import httpx2
import msgspec
import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from sqlalchemy import select

from tests.support.oauth import PartnerProgram, Platform, without_numbers
from xinyi.events.relay import Relay
from xinyi.partners.model import ChangedBy
from xinyi.partners.published import AGAIN
from xinyi.partners.service import KEY_DELAY, KEYS_CHANGED
from xinyi.partners.tables import key_changes
from xinyi.web.outbound import Outbound

SCENARIO = "personal-loan"
KEYS = "/v1/partner/keys"
INTERACTION = {"x-fapi-interaction-id": "6ba7b814-9dad-41d1-80b4-00c04fd430c8"}


@pytest.fixture
async def bank(platform: Platform) -> PartnerProgram:
    return await platform.partner(SCENARIO)


def public(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": kid, **more}


async def call(bank: PartnerProgram, method: str, path: str, **more: Any) -> httpx.Response:
    return await bank.call(method, path, await bank.token(), **more)


def told(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def changes(platform: Platform, bank: PartnerProgram) -> list[tuple[str, str, str]]:
    """What the partner's events say of its keys: which key, what became of it, and by whom."""
    await Relay(platform.service("database"), platform.clock).run()
    told = (await call(bank, "GET", f"/v1/events?type={KEYS_CHANGED}")).json()["data"]
    assert {event["data"]["client_id"] for event in told} <= {bank.id}
    return [(event["data"]["kid"], event["data"]["change"], event["data"]["made_by"]) for event in told]


async def authenticates(bank: PartnerProgram, key: ECKey, kid: str) -> bool:
    """Whether the client gets a token by the key; otherwise it is refused as anybody who is unknown."""
    answer = await bank.credentials(assertion=bank.assertion(key=key, header={"kid": kid}))
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_client"
    return answer.status_code == 200


async def keys(bank: PartnerProgram) -> dict[str, str]:
    """The ids of the client's keys, by kid."""
    response = await call(bank, "GET", KEYS)
    assert response.status_code == 200, response.text
    return {key["kid"]: key["id"] for key in response.json()["data"]}


async def test_a_client_sees_its_rights(platform: Platform):
    bank = await platform.partner(SCENARIO, scenarios={SCENARIO: None, "trade-finance": ["aeo"]})
    told = (await call(bank, "GET", "/v1/partner")).json()["data"]
    assert (told["id"], told["kind"], told["status"]) == (bank.client.partner_id, "bank", "active")
    assert told["client"] == {
        "id": bank.id,
        "name": "test",
        "scopes": ["checks", "consents", "partner"],
        "redirect_uris": ["https://partner.example/back"],
        "scenarios": [{"id": SCENARIO, "units": None}, {"id": "trade-finance", "units": ["aeo"]}],
        "jwks_uri": None,
    }


async def test_keys_overlap_so_that_there_is_no_gap(platform: Platform, bank: PartnerProgram):
    old, new = bank.key, ECKey.generate_key("P-256")
    added = await call(bank, "POST", KEYS, json=public(new, "k2", alg="ES256", use="sig", key_ops=["verify"]))
    assert added.status_code == 201, added.text
    assert added.json()["data"] == {
        "id": new.thumbprint(),
        "kid": "k2",
        "kty": "EC",
        "alg": "ES256",
        "added_at": told(platform.clock.now()),
        "works_from": told(platform.clock.now() + KEY_DELAY),
    }
    assert await keys(bank) == {"k1": old.thumbprint(), "k2": new.thumbprint()}
    platform.clock.advance(KEY_DELAY)
    assert (await bank.credentials(assertion=bank.assertion(key=new, header={"kid": "k2"}))).status_code == 200

    token = await bank.token()
    removed = await bank.call("DELETE", f"{KEYS}/{old.thumbprint()}", token)
    assert (removed.status_code, removed.content) == (204, b"")
    refused = await bank.credentials(assertion=bank.assertion(key=old))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
    listed = await bank.call("GET", KEYS, token)
    assert [key["kid"] for key in listed.json()["data"]] == ["k2"]


async def test_adding_a_key_again_changes_nothing(bank: PartnerProgram):
    key = public(ECKey.generate_key("P-256"), "k2")
    first, second = [await call(bank, "POST", KEYS, json=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (201, second.json())
    assert list(await keys(bank)) == ["k1", "k2"]


async def test_a_thiefs_own_key_doesnt_work_before_the_partner_has_had_a_day(platform: Platform, bank: PartnerProgram):
    thiefs = ECKey.generate_key("P-256")
    await call(bank, "POST", KEYS, json=public(thiefs, "k2"))
    assert await changes(platform, bank) == [("k2", "added", "client")]
    platform.clock.advance(KEY_DELAY - timedelta(seconds=1))
    assert not await authenticates(bank, thiefs, "k2")
    again = await call(bank, "POST", KEYS, json=public(thiefs, "k2"))
    assert again.json()["data"]["works_from"] == told(platform.clock.now() + timedelta(seconds=1)), (
        "it isn't begun anew"
    )
    kept = await call(bank, "DELETE", f"{KEYS}/{bank.key.thumbprint()}")
    assert (kept.status_code, kept.json()["code"]) == (409, "wrong_state"), "one that waits is nobody's only key"
    assert await authenticates(bank, bank.key, "k1")

    assert (await call(bank, "DELETE", f"{KEYS}/{thiefs.thumbprint()}")).status_code == 204
    platform.clock.advance(KEY_DELAY)
    assert not await authenticates(bank, thiefs, "k2")
    assert await changes(platform, bank) == [("k2", "added", "client"), ("k2", "removed", "client")]


async def test_what_the_operator_changes_works_at_once(platform: Platform, bank: PartnerProgram):
    new = ECKey.generate_key("P-256")
    platform.clock.advance(timedelta(seconds=1))
    await call(bank, "POST", KEYS, json=public(new, "k2"))
    partners, database = platform.service("partners"), platform.service("database")
    platform.clock.advance(timedelta(seconds=1))
    async with database.transaction() as tx:
        added = await partners.add_key(tx, bank.id, public(new, "k2"), ChangedBy.OPERATOR)
        assert added.works_from == platform.clock.now()
        platform.clock.advance(timedelta(seconds=1))
        await partners.remove_key(tx, bank.id, bank.key.thumbprint(), ChangedBy.OPERATOR)
    assert await authenticates(bank, new, "k2")
    assert not await authenticates(bank, bank.key, "k1")
    async with database.read() as tx:
        noted = await partners.key_changes(tx, client_id=bank.id, limit=10)
    assert [(each.kid, each.change, each.made_by) for each in noted] == [
        ("k1", "removed", "operator"),
        ("k2", "added", "operator"),
        ("k2", "added", "client"),
        ("k1", "added", "operator"),
    ]


async def test_each_change_is_noted(platform: Platform, bank: PartnerProgram):
    new = ECKey.generate_key("P-256")
    await call(bank, "POST", KEYS, json=public(new, "k2"))
    await call(bank, "DELETE", f"{KEYS}/{new.thumbprint()}")
    async with platform.service("database").read() as tx:
        noted = await tx.execute(
            select(key_changes).where(key_changes.c.client_id == bank.id).order_by(key_changes.c.id)
        )
        changes = [(row.kid, row.key_id, row.change, row.made_by) for row in noted]
    assert sorted(changes) == [
        ("k1", bank.key.thumbprint(), "added", "operator"),
        ("k2", new.thumbprint(), "added", "client"),
        ("k2", new.thumbprint(), "removed", "client"),
    ]


async def test_the_last_key_stays_whoever_removes_at_the_same_time(platform: Platform, bank: PartnerProgram):
    alone = await call(bank, "DELETE", f"{KEYS}/{bank.key.thumbprint()}")
    assert (alone.status_code, alone.json()["code"]) == (409, "wrong_state")
    new = ECKey.generate_key("P-256")
    await call(bank, "POST", KEYS, json=public(new, "k2"))
    platform.clock.advance(KEY_DELAY)
    token = await bank.token()
    both = await asyncio.gather(*(bank.call("DELETE", f"{KEYS}/{key.thumbprint()}", token) for key in (bank.key, new)))
    assert sorted(response.status_code for response in both) == [204, 409]
    assert len((await bank.call("GET", KEYS, token)).json()["data"]) == 1


@pytest.mark.parametrize(
    ("key", "source"),
    [
        ({**ECKey.generate_key("P-256").as_dict(private=True), "kid": "k2"}, "/d"),
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "k2"}, "/k"),
        ({"kty": "oct", "kid": "k2"}, "/kty"),
        (public(ECKey.generate_key("P-384"), "k2"), "/crv"),
        (public(OKPKey.generate_key("X25519"), "k2"), "/crv"),
        (public(RSAKey.generate_key(2048), "k2", alg="RS256"), "/alg"),
        (public(ECKey.generate_key("P-256"), "k2", use="enc"), "/use"),
        (public(ECKey.generate_key("P-256"), "k1"), "/kid"),
        (public(ECKey.generate_key("P-256"), "\u202e"), "/kid"),
        (public(ECKey.generate_key("P-256"), "k2", x="AAAA"), ""),
    ],
)
async def test_a_key_that_cant_be_used_is_refused(bank: PartnerProgram, key: dict[str, Any], source: str):
    response = await call(bank, "POST", KEYS, json=key)
    assert (response.status_code, response.json()["code"]) == (422, "invalid"), response.text
    assert response.json().get("source", "") == source
    assert list(await keys(bank)) == ["k1"]


async def test_one_key_has_one_name(bank: PartnerProgram):
    response = await call(bank, "POST", KEYS, json=public(bank.key, "another"))
    assert (response.status_code, response.json()["source"]) == (422, "/kid")


async def test_another_clients_key_is_as_one_that_isnt_there(platform: Platform, bank: PartnerProgram):
    other, none = await platform.partner(SCENARIO), ECKey.generate_key("P-256")
    answers = [
        await call(bank, "DELETE", f"{KEYS}/{key.thumbprint()}", headers=INTERACTION) for key in (other.key, none)
    ]
    first, second = (
        (answer.status_code, answer.headers, answer.content.replace(key, b""))
        for answer, key in zip(answers, (other.key.thumbprint().encode(), none.thumbprint().encode()), strict=True)
    )
    assert first[0] == 404
    assert first == second
    assert list(await keys(other)) == ["k1"]


async def test_a_source_has_no_partners_rights(platform: Platform):
    source = await platform.source()
    for path in ("/v1/partner", KEYS):
        assert (await call(source, "GET", path)).json()["code"] == "insufficient_scope"


class TestKeysThatTheClientPublishes:
    """``jwks_uri``, from the registration to the answer."""

    @pytest.fixture
    def published(self) -> list[dict[str, Any]]:
        return []

    @pytest.fixture
    async def publisher(
        self, platform: Platform, published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> PartnerProgram:
        async def resolve(_host: str, _port: int) -> list[str]:
            return ["93.184.215.14"]

        def answer(_request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, stream=httpx2.ByteStream(msgspec.json.encode({"keys": published})))

        outbound: Outbound = platform.service("outbound")
        monkeypatch.setattr(outbound, "_resolve", resolve)
        monkeypatch.setattr(outbound, "_transport", httpx2.MockTransport(answer))
        partners = platform.service("partners")
        made = await platform.partner(SCENARIO)
        assert made.client.partner_id is not None
        async with platform.service("database").transaction() as tx:
            client = await partners.add_client(
                tx, made.client.partner_id, "publisher", jwks_uri=f"https://bank.example/{made.id}", scenarios={}
            )
        return PartnerProgram(platform.http, platform.clock, client, made.key)

    async def test_they_authenticate_and_are_changed_where_they_are_published(
        self, platform: Platform, publisher: PartnerProgram, published: list[dict[str, Any]]
    ):
        published.append(public(publisher.key, "k1"))
        assert (await publisher.credentials()).status_code == 200
        next_key = ECKey.generate_key("P-256")
        published[:] = [public(next_key, "k2")]
        platform.clock.advance(AGAIN)
        named = {"kid": "k2"}
        assert (
            await publisher.credentials(assertion=publisher.assertion(key=next_key, header=named))
        ).status_code == 200
        assert (await publisher.credentials()).status_code == 400

        publisher.key, told = next_key, await self.token(publisher, next_key)
        assert (await publisher.call("GET", KEYS, told)).json()["data"] == []
        key = public(ECKey.generate_key("P-256"), "k3")
        for response in (
            await publisher.call("POST", KEYS, told, json=key),
            await publisher.call("DELETE", f"{KEYS}/{next_key.thumbprint()}", told),
        ):
            assert (response.status_code, response.json()["code"]) == (409, "wrong_state")

    async def test_keys_that_cant_be_had_are_as_a_client_that_is_unknown(
        self, platform: Platform, publisher: PartnerProgram
    ):
        unpublished = await publisher.credentials()
        stranger = PartnerProgram(platform.http, platform.clock, publisher.client, publisher.key)
        unknown = await stranger.credentials(assertion=stranger.assertion(iss="cli_none", sub="cli_none"))
        assert without_numbers(unpublished) == without_numbers(unknown)
        assert unknown.status_code == 400

    async def token(self, publisher: PartnerProgram, key: ECKey) -> str:
        answer = await publisher.credentials(assertion=publisher.assertion(key=key, header={"kid": "k2"}))
        return str(answer.json()["access_token"])
