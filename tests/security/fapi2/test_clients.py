"""The modules about how a client proves who it is at the token endpoint."""

from joserfc.jwk import RSAKey

from tests.security.fapi2.plan import Plan
from tests.security.fapi2.suite import Server, TestClient, refused
from tests.support.oauth import ABSENT, PartnerProgram
from xinyi.kernel.text import Text


async def test_fapi2_security_profile_final_ensure_client_id_in_token_endpoint(
    client: TestClient, client2: TestClient, plan: Plan
):
    """The second client's id in form and assertion, by the first client's key."""
    form = await client.token_form(plan)
    assertion = client.assertion(iss=client2.id, sub=client2.id)
    refused(await client.ask({**form, "client_id": client2.id}, assertion=assertion), "invalid_client", "invalid_grant")
    refused(await client.ask({**form, "client_id": client2.id}), "invalid_client", "invalid_grant")


async def test_fapi2_security_profile_final_ensure_client_assertion_in_token_endpoint(client: TestClient, plan: Plan):
    form = await client.token_form(plan)
    response = await client.ask({**form, "client_assertion": ABSENT, "client_assertion_type": ABSENT})
    refused(response, "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails(
    client: TestClient, plan: Plan
):
    form, past = await client.token_form(plan), int(client.now) - 300
    refused(await client.ask(form, assertion=client.assertion(exp=past)), "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_ensure_client_assertion_with_wrong_aud_fails(
    client: TestClient, plan: Plan
):
    form = await client.token_form(plan)
    assertion = client.assertion(aud="https://example.com/token")
    refused(await client.ask(form, assertion=assertion), "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_ensure_client_assertion_with_no_sub_fails(client: TestClient, plan: Plan):
    form = await client.token_form(plan)
    refused(await client.ask(form, assertion=client.assertion(sub=ABSENT)), "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_ensure_signed_client_assertion_with_rs256_fails(server: Server, plan: Plan):
    """The key is good with PS256, and with that the same request is taken."""
    key = RSAKey.generate_key(2048)
    partners = server.service("partners")
    async with server.service("database").transaction() as tx:
        partner = await partners.add_partner(tx, Text("示例机构", "Sample Partner"), "power-bank", "p@partner.example")
        registered = await partners.add_client(
            tx,
            partner.id,
            "rsa",
            {"keys": [{**key.as_dict(private=False), "kid": "k1"}]},
            redirect_uris=["https://partner.example/back"],
            scenarios={"power-bank-deposit": None},
        )
    program = PartnerProgram(server.http, server.clock, registered, key)  # type: ignore[arg-type]  # another kind of key
    client = TestClient(server, program, "https://partner.example/back")
    signed = {alg: client.assertion(header={"alg": alg}) for alg in ("RS256", "PS256")}
    if plan is Plan.CODE:
        pushed = await client.pushed(assertion=client.assertion(header={"alg": "PS256"}))
        form = client.code_form((await client.agree(await client.visit(pushed)))["code"])
    else:
        form = await client.token_form(plan)
    refused(await client.ask(form, assertion=signed["RS256"]), "invalid_client", "invalid_request")
    assert (await client.ask(form, assertion=signed["PS256"])).status_code == 200
