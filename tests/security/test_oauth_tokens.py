"""What becomes of tokens after they were given: refreshed, introspected, revoked, and over with the consent."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from tests.support.oauth import ABSENT, ISSUER, PartnerProgram, Platform, details, running_platform, without_numbers
from tests.support.pairs import Pair
from xinyi.consents.model import Party
from xinyi.oauth.tables import refresh_tokens

pytestmark = pytest.mark.anyio

RECURRING, ONCE = "power-bank-deposit", "personal-loan"
PATH = "/v1/consents/cns_00000000000000000000000000"
INACTIVE = b'{"active":false}'


@pytest.fixture
async def rental(platform: Platform) -> PartnerProgram:
    return await platform.partner(RECURRING, ONCE, kind="power-bank")


async def code_for(platform: Platform, program: PartnerProgram, scenario: str = RECURRING, **form: Any) -> str:
    pushed = await program.par(scenario, **form)
    return await platform.subject().agree(program, pushed.json()["request_uri"], "person-a")


async def granted(platform: Platform, program: PartnerProgram, scenario: str = RECURRING) -> dict[str, Any]:
    """The token response of a consent by redirect."""
    response = await program.redeem(await code_for(platform, program, scenario))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def refresh(program: PartnerProgram, token: str, **more: Any) -> httpx.Response:
    proof = more.pop("proof", None)
    form = {"grant_type": "refresh_token", "refresh_token": token, **more}
    return await program.post("/oauth2/token", form, proof=proof)


async def introspect(program: PartnerProgram, token: str) -> dict[str, Any]:
    response = await program.post("/oauth2/introspect", {"token": token}, proof=ABSENT)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def revoke(program: PartnerProgram, token: str) -> httpx.Response:
    response = await program.post("/oauth2/revoke", {"token": token}, proof=ABSENT)
    assert (response.status_code, response.content) == (200, b"")
    return response


async def status(program: PartnerProgram, token: str) -> int:
    """404 when the API takes the token: there is nothing at the path."""
    return (await program.call("GET", PATH, token)).status_code


def consent_of(answer: dict[str, Any]) -> str:
    return str(answer["authorization_details"][0]["consent_id"])


def refused(response: httpx.Response, code: str = "invalid_grant") -> str:
    assert (response.status_code, response.json()["error"]) == (400, code), response.text
    return str(response.json()["error_description"])


class TestARefreshToken:
    async def test_comes_with_a_recurring_consent_and_with_nothing_else(
        self, platform: Platform, rental: PartnerProgram
    ):
        assert "refresh_token" not in await granted(platform, rental, ONCE)
        assert "refresh_token" not in (await rental.credentials()).json()
        assert len((await granted(platform, rental))["refresh_token"]) == 43

    async def test_gives_tokens_of_the_same_consent_and_is_not_rotated(
        self, platform: Platform, rental: PartnerProgram
    ):
        first = await granted(platform, rental)
        platform.clock.advance(timedelta(days=100))
        for _ in range(2):
            again = (await refresh(rental, first["refresh_token"])).json()
            assert "refresh_token" not in again
            assert again["authorization_details"] == first["authorization_details"]
            assert (again["scope"], again["token_type"], again["expires_in"]) == ("checks", "DPoP", 300)
            assert await status(rental, again["access_token"]) == 404

    async def test_is_bound_to_its_client_which_may_have_a_new_key(self, platform: Platform, rental: PartnerProgram):
        """RFC 9449 §5: a confidential client's refresh token is constrained by its authentication."""
        token = (await granted(platform, rental))["refresh_token"]
        other = await platform.partner(RECURRING, kind="power-bank")
        assert "another client's" in refused(await refresh(other, token))
        key = ECKey.generate_key("P-256")
        answer = (await refresh(rental, token, proof=rental.proof("POST", "/oauth2/token", key=key))).json()
        assert await status(rental, answer["access_token"]) == 401
        rental.dpop_key = key
        assert await status(rental, answer["access_token"]) == 404

    async def test_needs_a_proof(self, platform: Platform, rental: PartnerProgram):
        token = (await granted(platform, rental))["refresh_token"]
        refused(await refresh(rental, token, proof=ABSENT), "invalid_request")

    @pytest.mark.parametrize(
        ("form", "code"),
        [
            ({"scope": "checks consents"}, "invalid_scope"),
            ({"authorization_details": details(ONCE)}, "invalid_authorization_details"),
            ({"refresh_token": ABSENT}, "invalid_request"),
            ({"refresh_token": "no-such-token"}, "invalid_grant"),
        ],
    )
    async def test_widens_nothing(self, platform: Platform, rental: PartnerProgram, form: dict[str, Any], code: str):
        token = (await granted(platform, rental))["refresh_token"]
        refused(await refresh(rental, token, **form), code)

    async def test_rests_while_the_consent_is_paused_and_ends_when_it_is_withdrawn(
        self, platform: Platform, rental: PartnerProgram
    ):
        answer = await granted(platform, rental)
        token, consents = answer["refresh_token"], platform.service("consents")
        subject_id = (await consents.of_partner(consent_of(answer), rental.client.partner_id)).subject_id
        await consents.pause(consent_of(answer), subject_id)
        assert "paused" in refused(await refresh(rental, token))
        assert await introspect(rental, token) == {"active": False}
        await consents.resume(consent_of(answer), subject_id)
        assert (await refresh(rental, token)).status_code == 200
        await consents.withdraw(consent_of(answer), Party.SUBJECT, subject_id)
        assert "withdrawn" in refused(await refresh(rental, token))
        assert await introspect(rental, token) == {"active": False}

    async def test_ends_with_the_consents_term(self, platform: Platform, rental: PartnerProgram):
        answer = await granted(platform, rental)
        platform.clock.advance(timedelta(days=364))
        assert (await refresh(rental, answer["refresh_token"])).status_code == 200
        platform.clock.advance(timedelta(days=1))
        assert "expired" in refused(await refresh(rental, answer["refresh_token"]))

    async def test_ends_when_the_subject_agrees_anew(self, platform: Platform, rental: PartnerProgram):
        earlier, later = await granted(platform, rental), await granted(platform, rental)
        assert "withdrawn" in refused(await refresh(rental, earlier["refresh_token"]))
        assert (await refresh(rental, later["refresh_token"])).status_code == 200

    async def test_outlives_the_short_lived_state(self, tmp_path: Path, pair: Pair):
        async with running_platform(tmp_path, pair) as before:
            rental = await before.partner(RECURRING, kind="power-bank")
            kept = await granted(before, rental)
            other = await before.partner(RECURRING, kind="power-bank")
            over = await granted(before, other)
            await revoke(other, over["refresh_token"])
        before.clock.advance(timedelta(seconds=1))
        pair.forget(tmp_path)
        async with running_platform(tmp_path, pair, before.clock) as after:
            rental.http = other.http = after.http
            after.clock.advance(timedelta(seconds=2))
            assert (await refresh(rental, kept["refresh_token"])).status_code == 200
            assert "revoked" in refused(await refresh(other, over["refresh_token"]))

    async def test_is_kept_as_a_hash(self, platform: Platform, rental: PartnerProgram):
        token = (await granted(platform, rental))["refresh_token"]
        async with platform.service("database").read() as tx:
            rows = (await tx.execute(select(refresh_tokens))).all()
        assert rows
        assert token not in repr(rows) + platform.remembered()


class TestACodeThatComesTwice:
    async def test_ends_what_it_gave_however_late_it_comes(self, platform: Platform, rental: PartnerProgram):
        code = await code_for(platform, rental)
        token = (await rental.redeem(code)).json()["refresh_token"]
        platform.clock.advance(timedelta(days=30))
        fresh = (await refresh(rental, token)).json()["access_token"]
        refused(await rental.redeem(code))
        assert await status(rental, fresh) == 401
        assert "revoked" in refused(await refresh(rental, token))

    async def test_at_the_same_time_leaves_no_refresh_token(self, platform: Platform, rental: PartnerProgram):
        for _ in range(4):
            code = await code_for(platform, rental)
            answers = await asyncio.gather(*(rental.redeem(code) for _ in range(6)))
            (won,) = (each.json() for each in answers if each.status_code == 200)
            platform.clock.advance(timedelta(minutes=10))
            refused(await refresh(rental, won["refresh_token"]))


class TestIntrospection:
    async def test_tells_what_the_token_says_and_its_key(self, platform: Platform, rental: PartnerProgram):
        token = await rental.token()
        found = await introspect(rental, token)
        at = int(rental.now)
        assert found.pop("jti")
        assert found == {
            "active": True,
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": rental.id,
            "client_id": rental.id,
            "scope": "checks consents partner",
            "token_type": "DPoP",
            "iat": at,
            "exp": at + 300,
            "cnf": {"jkt": rental.dpop_key.thumbprint()},
        }

    async def test_tells_the_consent_that_a_token_is_bound_to(self, platform: Platform, rental: PartnerProgram):
        answer = await granted(platform, rental)
        access = await introspect(rental, answer["access_token"])
        assert access["authorization_details"] == answer["authorization_details"]
        lasting = await introspect(rental, answer["refresh_token"])
        assert lasting["authorization_details"] == answer["authorization_details"]
        assert (lasting["sub"], lasting["client_id"]) == (access["sub"], rental.id)
        assert access["sub"].startswith("psn_")
        assert lasting["exp"] == int(rental.now) + 365 * 24 * 3600
        assert not {"token_type", "cnf", "jti"} & lasting.keys()

    async def test_is_for_the_partners_own_tokens(self, platform: Platform, rental: PartnerProgram):
        answer = await granted(platform, rental)
        tokens = (answer["access_token"], answer["refresh_token"], await rental.token())
        key = ECKey.generate_key("P-256")
        async with platform.service("database").transaction() as tx:
            client = await platform.service("partners").add_client(
                tx, rental.client.partner_id, "other", {"keys": [{**key.as_dict(private=False), "kid": "k1"}]}
            )
        colleague = PartnerProgram(platform.http, platform.clock, client, key)
        stranger, source = await platform.partner(RECURRING, kind="power-bank"), await platform.source()
        for token in tokens:
            assert (await introspect(colleague, token))["active"]
            for other in (stranger, source):
                theirs = await other.post("/oauth2/introspect", {"token": token}, proof=ABSENT)
                nothing = await other.post("/oauth2/introspect", {"token": "nothing"}, proof=ABSENT)
                assert theirs.content == INACTIVE
                assert without_numbers(theirs) == without_numbers(nothing)
        own = await source.token()
        assert (await introspect(source, own))["active"]
        assert not (await introspect(rental, own))["active"]

    async def test_knows_the_end_of_a_token(self, platform: Platform, rental: PartnerProgram):
        answer = await granted(platform, rental)
        other = await rental.token()
        given_up = await rental.call("DELETE", f"/v1/consents/{consent_of(answer)}", other)
        assert given_up.is_success
        for token in (answer["access_token"], answer["refresh_token"]):
            assert await introspect(rental, token) == {"active": False}
        assert (await introspect(rental, other))["active"]
        platform.clock.advance(timedelta(minutes=5))
        assert await introspect(rental, other) == {"active": False}

    async def test_knows_whose_client_was_disabled_or_owner_suspended(self, platform: Platform, rental: PartnerProgram):
        key = ECKey.generate_key("P-256")
        partners = platform.service("partners")
        async with platform.service("database").transaction() as tx:
            client = await partners.add_client(
                tx, rental.client.partner_id, "other", {"keys": [{**key.as_dict(private=False), "kid": "k1"}]}
            )
        colleague = PartnerProgram(platform.http, platform.clock, client, key)
        token, lasting = await rental.token(), (await granted(platform, rental))["refresh_token"]
        async with platform.service("database").transaction() as tx:
            await partners.disable_client(tx, rental.id)
        for each in (token, lasting):
            assert await introspect(colleague, each) == {"active": False}
        async with platform.service("database").transaction() as tx:
            await partners.suspend_partner(tx, rental.client.partner_id)
        response = await colleague.post("/oauth2/introspect", {"token": token}, proof=ABSENT)
        refused(response, "unauthorized_client")

    async def test_of_what_is_no_token_says_inactive(self, platform: Platform, rental: PartnerProgram):
        for token in ("x", "a.b.c", rental.assertion(), "é" * 3000):
            assert await introspect(rental, token) == {"active": False}


class TestRevocation:
    async def test_of_an_access_token_ends_that_one(self, platform: Platform, rental: PartnerProgram):
        answer = await granted(platform, rental)
        again = (await refresh(rental, answer["refresh_token"])).json()["access_token"]
        await revoke(rental, answer["access_token"])
        assert await status(rental, answer["access_token"]) == 401
        assert await introspect(rental, answer["access_token"]) == {"active": False}
        assert await status(rental, again) == 404

    async def test_of_a_clients_own_token_ends_it(self, rental: PartnerProgram):
        token, other = await rental.token(), await rental.token()
        await revoke(rental, token)
        response = await rental.call("GET", PATH, token)
        assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
        assert await status(rental, other) == 404

    async def test_of_a_refresh_token_ends_all_that_it_gave(self, platform: Platform, rental: PartnerProgram):
        answer = await granted(platform, rental)
        again = (await refresh(rental, answer["refresh_token"])).json()["access_token"]
        await revoke(rental, answer["refresh_token"])
        for token in (answer["access_token"], again):
            assert await status(rental, token) == 401
        assert "revoked" in refused(await refresh(rental, answer["refresh_token"]))
        assert await introspect(rental, answer["refresh_token"]) == {"active": False}
        await revoke(rental, answer["refresh_token"])

    async def test_of_anothers_token_changes_nothing_and_tells_nothing(
        self, platform: Platform, rental: PartnerProgram
    ):
        answer = await granted(platform, rental)
        other = await platform.partner(RECURRING, kind="power-bank")
        nothing = await revoke(other, "nothing")
        for token in (answer["access_token"], answer["refresh_token"]):
            assert without_numbers(await revoke(other, token)) == without_numbers(nothing)
        assert await status(rental, answer["access_token"]) == 404
        assert (await refresh(rental, answer["refresh_token"])).status_code == 200

    async def test_lasts_as_long_as_the_token_would(self, platform: Platform, rental: PartnerProgram):
        token = await rental.token()
        await revoke(rental, token)
        platform.clock.advance(timedelta(minutes=4, seconds=59))
        assert await status(rental, token) == 401
        platform.clock.advance(timedelta(minutes=1))
        await revoke(rental, token)


@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
async def test_only_clients_that_prove_who_they_are_ask_about_tokens(rental: PartnerProgram, path: str):
    token = await rental.token()
    stranger = rental.assertion(key=ECKey.generate_key("P-256"))
    refused(await rental.post(path, {"token": token}, proof=ABSENT, assertion=stranger), "invalid_client")
    refused(await rental.http.post(path, data={"token": token}), "invalid_client")
    refused(await rental.post(path, {}, proof=ABSENT), "invalid_request")
    assert (await rental.http.get(path)).status_code == 405
    assert await status(rental, token) == 404
