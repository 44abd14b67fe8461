"""``/v1/check-batches``, over HTTP with real tokens, proofs and consents."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.batches import finish
from tests.support.oauth import PartnerProgram, Platform, running_platform, without_numbers
from tests.support.pairs import Pair

SCENARIO = "microloan-prescreen"
PATH = "/v1/check-batches"
NDJSON = "application/x-ndjson"
INTERACTION = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncGenerator[Platform]:
    """A platform whose batches advance when the test says so."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    async with running_platform(folder, pair) as platform:
        await platform.service("batch_worker").stop()
        yield platform


class Caller:
    """A bank's program with a token, and a consent of company A."""

    def __init__(self, platform: Platform, program: PartnerProgram, token: str, bound: dict[str, Any]) -> None:
        self.platform = platform
        self.program = program
        self.token = token
        self.bound_token = bound["access_token"]
        self.consent_id = bound["authorization_details"][0]["consent_id"]

    async def call(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        token = token or self.token
        proof = self.program.proof(method, path.partition("?")[0], token=token)
        return await self.program.call(method, path, token, proof=proof, **more)

    def item(self, **changes: Any) -> dict[str, Any]:
        return {"scenario": SCENARIO, "consent_id": self.consent_id, "reference": "LOAN-2026-000123", **changes}

    async def send(
        self, body: Any, *, key: str | None = "key-1", media_type: str = NDJSON, token: str | None = None, **more: str
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else b"".join(msgspec.json.encode(each) + b"\n" for each in body)
        headers = {"content-type": media_type, **({"idempotency-key": key} if key else {}), **more}
        return await self.call("POST", PATH, token, content=content, headers=headers)

    async def done(self, *items: dict[str, Any]) -> str:
        """The path of a batch that is finished."""
        response = await self.send(list(items))
        assert response.status_code == 202, response.text
        await finish(self.platform.service("batches"))
        return str(response.headers["location"])


@pytest.fixture
async def bank(platform: Platform) -> Caller:
    return await caller(platform)


async def caller(platform: Platform) -> Caller:
    program = await platform.partner(SCENARIO, "trade-finance")
    request_uri = (await program.par(SCENARIO)).json()["request_uri"]
    bound = (await program.redeem(await platform.subject().agree(program, request_uri, "company-a"))).json()
    return Caller(platform, program, await program.token(), bound)


async def test_a_batch_is_taken_in_and_says_how_far_it_is(bank: Caller) -> None:
    response = await bank.send([bank.item(), bank.item(scenario="trade-finance"), bank.item(consent_id="cns_x")])

    assert response.status_code == 202
    queued = response.json()["data"]
    assert response.headers["location"] == f"{PATH}/{queued['id']}"
    assert (queued["state"], queued["total"], queued["waiting"], queued["outcomes"]) == ("queued", 3, 3, None)

    await finish(bank.platform.service("batches"))
    finished = (await bank.call("GET", response.headers["location"])).json()
    assert finished["data"] == {
        **queued,
        "state": "finished",
        "waiting": 0,
        "answered": 1,
        "refused": 2,
        "outcomes": {"met": 0, "not_evidenced": 1},
        "started_at": "2026-11-02T08:00:00Z",
        "finished_at": "2026-11-02T08:00:00Z",
    }
    assert finished["links"]["items"] == f"{PATH}/{queued['id']}/items"


async def test_an_item_is_what_a_call_would_have_been_answered_to_the_byte(bank: Caller) -> None:
    path = await bank.done(bank.item(), bank.item(scenario="trade-finance"), bank.item(consent_id="cns_x"))

    met, mismatch, unknown = (await bank.call("GET", f"{path}/items")).json()["data"]
    assert {name: met[name] for name in ("number", "consent_id", "reference")} == {
        "number": 1,
        "consent_id": bank.consent_id,
        "reference": "LOAN-2026-000123",
    }
    call = await bank.call("GET", f"/v1/checks/{met['data']['id']}")
    assert call.content == msgspec.json.encode({"data": met["data"], "receipt": met["receipt"]})
    again = await bank.call("GET", mismatch["problem"]["instance"])
    assert again.json() == mismatch["problem"]
    assert again.status_code == 403
    assert unknown["problem"]["code"] == "not_found"
    assert unknown["problem"]["source"] == "/consent_id"
    assert unknown["problem"]["instance"] == f"{path}#3"


async def test_items_come_in_pages_and_as_a_stream(bank: Caller) -> None:
    path = await bank.done(*(bank.item(reference=f"CASE-{n}") for n in range(5)))

    pages = []
    following: str | None = f"{path}/items?limit=2"
    while following:
        page = (await bank.call("GET", following)).json()
        pages.append(page["data"])
        following = page.get("links", {}).get("next")
    stream = await bank.call("GET", f"{path}/items", headers={"accept": NDJSON})
    rest = await bank.call("GET", f"{path}/items?cursor=3", headers={"accept": NDJSON})

    assert [len(page) for page in pages] == [2, 2, 1]
    assert page["meta"] == {"limit": 2, "next_cursor": None}
    assert stream.headers["content-type"].partition(";")[0] == NDJSON
    assert stream.headers["cache-control"] == "no-store"
    lines = [msgspec.json.decode(line) for line in stream.content.splitlines()]
    assert lines == [item for page in pages for item in page]
    assert [line["reference"] for line in lines] == [f"CASE-{n}" for n in range(5)]
    assert rest.content.splitlines() == stream.content.splitlines()[3:]


async def test_while_it_runs_the_same_page_can_be_asked_for_again(bank: Caller) -> None:
    path = (await bank.send([bank.item()] * 2)).headers["location"]

    early = (await bank.call("GET", f"{path}/items?limit=1")).json()
    nothing = await bank.call("GET", f"{path}/items", headers={"accept": NDJSON})
    await finish(bank.platform.service("batches"))
    later = (await bank.call("GET", f"{path}/items?limit=1&cursor=1")).json()

    assert (early["data"], early["meta"]["next_cursor"]) == ([], "0")
    assert nothing.content == b""
    assert (later["data"][0]["number"], later["meta"]["next_cursor"]) == (2, None)


async def test_after_a_withdrawal_its_items_arent_given_again(bank: Caller) -> None:
    path = await bank.done(bank.item())
    met = (await bank.call("GET", f"{path}/items")).json()["data"][0]
    withdrawn = await bank.call("DELETE", f"/v1/consents/{bank.consent_id}", bank.bound_token)
    assert withdrawn.status_code == 200, withdrawn.text

    page = (await bank.call("GET", f"{path}/items")).json()["data"]
    stream = await bank.call("GET", f"{path}/items", headers={"accept": NDJSON})
    batch = (await bank.call("GET", path)).json()["data"]

    assert page[0]["problem"]["code"] == "consent_withdrawn"
    assert page[0]["problem"]["instance"] == f"/v1/checks/{met['data']['id']}"
    assert set(page[0]) == {"number", "consent_id", "reference", "problem"}
    assert msgspec.json.decode(stream.content) == page[0]
    assert (batch["answered"], batch["outcomes"]) == (1, {"met": 0, "not_evidenced": 0})


async def test_json_and_csv_are_taken_as_well(bank: Caller) -> None:
    as_json = await bank.send(msgspec.json.encode({"items": [bank.item()]}), key="a", media_type="application/json")
    table = f"scenario,consent_id,reference\n{SCENARIO},{bank.consent_id},CASE-1\n".encode()
    as_csv = await bank.send(table, key="b", media_type="text/csv; charset=utf-8")

    assert (as_json.status_code, as_csv.status_code) == (202, 202)
    assert as_json.json()["data"]["total"] == as_csv.json()["data"]["total"] == 1


async def test_a_batch_with_a_bad_item_is_refused_whole(bank: Caller) -> None:
    bad = [bank.item(), bank.item(reference=""), {"scenario": SCENARIO}]
    response = await bank.send(bad)

    assert response.status_code == 422
    problem = response.json()
    assert (problem["code"], problem["detail"]) == ("invalid", "2 of 3 items can't be taken; nothing was stored")
    assert problem["errors"] == [
        {"number": 2, "line": 2, "member": "reference", "code": "wrong_form"},
        {"number": 3, "line": 3, "member": "consent_id", "code": "required"},
    ]
    assert (await bank.send([bank.item()])).status_code == 202, "the key is still free"


async def test_the_same_key_is_the_same_batch_once(bank: Caller) -> None:
    first = await bank.send([bank.item()])
    again = await bank.send([bank.item()])
    other = await bank.send([bank.item()] * 2)
    without = await bank.send([bank.item()], key=None)

    assert again.json() == first.json()
    assert again.status_code == 202
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (without.status_code, without.json()["code"]) == (400, "malformed")


async def test_other_media_types_are_refused(bank: Caller) -> None:
    for media_type, headers in (
        ("text/plain", {}),
        ("text/csv; charset=gbk", {}),
        (NDJSON, {"content-encoding": "gzip"}),
    ):
        response = await bank.send([bank.item()], media_type=media_type, **headers)
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


async def test_what_is_anothers_is_what_does_not_exist(platform: Platform, bank: Caller) -> None:
    path = await bank.done(bank.item())
    program = await platform.partner(SCENARIO)
    stranger = Caller(
        platform, program, await program.token(), {"access_token": "", "authorization_details": [{"consent_id": ""}]}
    )

    for suffix in ("", "/items"):
        foreign = await stranger.call("GET", path + suffix)
        absent = await stranger.call("GET", path[:-3] + "zzz" + suffix)
        assert foreign.status_code == 404
        assert without_numbers(foreign)[0] == without_numbers(absent)[0]
        assert set(foreign.json()) == set(absent.json())
        assert {**foreign.json(), "instance": ""} == {**absent.json(), "instance": ""}


async def test_a_source_has_no_batches_of_checks(platform: Platform, bank: Caller) -> None:
    source = await platform.source()
    response = await source.call("GET", f"{PATH}/cbt_01kb0x4m9v5w8q2r7s3t6y1zab", await source.token())

    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")


async def test_one_that_is_kept_no_longer_is_as_one_that_was_never_there(tmp_path: Path, pair: Pair) -> None:
    never = "cbt_01kb0x4m9v5w8q2r7s3t6y1zab"
    async with running_platform(tmp_path, pair) as platform:
        bank = await caller(platform)
        gone = (await bank.done(bank.item())).removeprefix(f"{PATH}/")
        platform.clock.advance(timedelta(days=365))
        bank.token = await bank.program.token()
        for tail in ("", "/items"):
            told = [
                await bank.call("GET", f"{PATH}/{each}{tail}", headers={"x-fapi-interaction-id": INTERACTION})
                for each in (gone, never)
            ]
            assert (told[0].status_code, told[0].json()["code"]) == (404, "not_found")
            assert told[0].text.replace(gone, never) == told[1].text
