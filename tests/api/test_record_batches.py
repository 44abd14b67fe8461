"""Sources send records over HTTP: row by row, once whatever happens, and each sees its own batches alone."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey

from tests.support.oauth import ISSUER, PartnerProgram, Platform, running_platform, without_numbers
from tests.support.pairs import Pair
from xinyi.kernel.text import Text
from xinyi.sandbox import identities

pytestmark = pytest.mark.anyio

PATH = "/v1/record-batches"
COMPANY = identities.company(1, 1).value
NDJSON = "application/x-ndjson"


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "subject": COMPANY,
        "record_type": "SOCINS_PAID",
        "source_ref": f"ref-{number}",
        "region": "990001",
        "observed_at": "2026-10-28",
        "fields": {"months": 12, "as_of": "2026-09-30"},
        **changes,
    }


def ndjson(rows: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in rows)


class Sender:
    """A source's program with a token."""

    def __init__(self, program: PartnerProgram, token: str) -> None:
        self.program = program
        self._token = token

    async def call(self, method: str, path: str, **more: Any) -> Any:
        address, _, query = path.partition("?")
        proof = self.program.proof(method, address, token=self._token)
        full = address + (f"?{query}" if query else "")
        return await self.program.call(method, full, self._token, proof=proof, **more)

    async def send(self, body: Any, key: str | None = "key-1", media_type: str = NDJSON, **headers: str) -> Any:
        given = {"content-type": media_type, **({"idempotency-key": key} if key else {}), **headers}
        return await self.call("POST", PATH, content=body, headers=given)


@pytest.fixture
async def platform(tmp_path: Path, pair: Pair) -> AsyncIterator[Platform]:
    async with running_platform(tmp_path, pair) as platform:
        yield platform


async def sender(platform: Platform, source_id: str) -> Sender:
    key = ECKey.generate_key("P-256")
    jwks = {"keys": [{**key.as_dict(private=False), "kid": "k1"}]}
    async with platform.service("database").transaction() as tx:
        _, client = await platform.service("partners").add_source(
            tx, source_id, Text("示例来源", "Sample Source"), ["SOCINS_PAID", "TAX_RATING"], jwks
        )
    program = PartnerProgram(platform.http, platform.clock, client, key)
    return Sender(program, await program.token())


@pytest.fixture
async def source(platform: Platform) -> Sender:
    return await sender(platform, "bureau")


async def test_an_upload_tells_what_became_of_its_rows(source: Sender) -> None:
    response = await source.send(ndjson([row(1), row(2, region="1"), row(3, subject="91110000710926094Q"), row(1)]))
    assert response.status_code == 201
    body = response.json()
    assert body["data"]["id"].startswith("rbt_")
    assert body["data"]["state"] == "finished"
    assert body["data"]["lines"] == 4
    assert body["data"]["rows"] == {"accepted": 1, "updated": 0, "unchanged": 1, "superseded": 0, "rejected": 2}
    assert (await source.call("GET", body["links"]["self"])).json() == body

    errors = await source.call("GET", body["links"]["errors"])
    assert errors.json()["data"] == [
        {"line": 2, "code": "region_unknown", "member": "region"},
        {"line": 3, "code": "identifier_check_digit", "member": "subject"},
    ]
    assert errors.json()["meta"] == {"limit": 100, "next_cursor": None}
    assert b"71092609" not in response.content + errors.content


async def test_csv_is_taken_as_well(source: Sender) -> None:
    body = (
        "subject,record_type,source_ref,region,observed_at,fields.year,fields.grade\n"
        f"{COMPANY},TAX_RATING,a,990001,2026-04-20,2025,A\n"
        f"{COMPANY},TAX_RATING,b,990001,2026-04-20,2025,C\n"
    )
    response = await source.send(body.encode(), media_type="text/csv; charset=utf-8")
    assert response.json()["data"]["rows"]["accepted"] == 1
    errors = await source.call("GET", response.json()["links"]["errors"])
    assert errors.json()["data"] == [{"line": 3, "code": "not_in_list", "member": "fields.grade"}]


async def test_errors_come_page_by_page(source: Sender) -> None:
    response = await source.send(ndjson(row(n, region="1") for n in range(1, 8)))
    link = response.json()["links"]["errors"] + "?limit=3"
    lines: list[list[int]] = []
    while link:
        page = (await source.call("GET", link)).json()
        lines.append([each["line"] for each in page["data"]])
        link = page.get("links", {}).get("next")
    assert lines == [[1, 2, 3], [4, 5, 6], [7]]


async def test_the_same_key_and_body_is_the_same_batch(source: Sender) -> None:
    first = await source.send(ndjson([row(1)]))
    again = await source.send(ndjson([row(1)]))
    assert (again.status_code, again.content) == (201, first.content)
    other_key = await source.send(ndjson([row(1)]), key="key-2")
    assert other_key.json()["data"]["id"] != first.json()["data"]["id"]
    assert other_key.json()["data"]["rows"]["unchanged"] == 1


async def test_the_same_key_with_another_body_is_refused(source: Sender) -> None:
    await source.send(ndjson([row(1)]))
    for body, media_type in ((ndjson([row(2)]), NDJSON), (ndjson([row(1)]), "text/csv")):
        response = await source.send(body, media_type=media_type)
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


async def test_two_sources_may_use_the_same_key(platform: Platform, source: Sender) -> None:
    other = await sender(platform, "office")
    first, second = await source.send(ndjson([row(1)])), await other.send(ndjson([row(2)]))
    assert first.json()["data"]["id"] != second.json()["data"]["id"]


async def test_another_source_s_batch_is_as_unknown_as_none(platform: Platform, source: Sender) -> None:
    mine = (await source.send(ndjson([row(1)]))).json()["data"]["id"]
    other = await sender(platform, "office")
    for tail in ("", "/errors"):
        answers = [
            await other.call("GET", f"{PATH}/{batch_id}{tail}")
            for batch_id in (mine, "rbt_00000000000000000000000000", "nonsense", "%00")
        ]
        problems = [{name: value for name, value in each.json().items() if name != "instance"} for each in answers]
        assert {each.status_code for each in answers} == {404}
        assert all(problem == problems[0] for problem in problems)
        assert {tuple(without_numbers(each)[1]) for each in answers} == {tuple(without_numbers(answers[0])[1])}


async def test_an_upload_that_was_interrupted_goes_on(platform: Platform, source: Sender) -> None:
    """The server was killed between two chunks: the batch is there, and so is what it had stored."""
    imports = platform.service("imports")
    run, stopped = imports.run, []

    async def dies_after_one_chunk(batch: Any, file: Any) -> Any:
        def die(now: Any) -> None:
            stopped.append(now.lines)
            raise RuntimeError("killed")

        return await run(batch, file, die)

    body = ndjson(row(number) for number in range(1200))
    imports.run = dies_after_one_chunk
    assert (await source.send(body)).status_code == 500
    imports.run = run
    assert stopped == [500]
    response = await source.send(body)
    assert response.json()["data"]["rows"]["accepted"] == 1200
    assert response.json()["data"]["lines"] == 1200


async def test_a_caller_who_hangs_up_leaves_nothing(platform: Platform, source: Sender) -> None:
    async def line_that_breaks(scope: Any, receive: Any, send: Any) -> None:
        messages = [{**await receive(), "more_body": True}, {"type": "http.disconnect"}]

        async def broken() -> Any:
            return messages.pop(0)

        await platform.app(scope, broken, send)

    transport = httpx.ASGITransport(app=line_that_breaks)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        source.program.http = http
        response = await source.send(ndjson(row(number) for number in range(700)))
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    async with platform.service("database").read() as tx:
        query = "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM record_batches)"
        assert tuple((await tx.exec_driver_sql(query)).one()) == (0, 0)


async def test_an_upload_has_a_limit_of_its_own(platform: Platform, source: Sender) -> None:
    """More than other bodies may have, and no more than the setting says, whether or not the length is told."""
    settings = platform.service("settings")
    padding = b"\n" * (settings.body_limit + 1)
    assert (await source.send(ndjson([row(1)]) + padding)).status_code == 201

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(settings.upload_limit // len(padding) + 1):
            yield padding

    response = await source.send(blocks(), key="key-2")
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_other_media_types_are_refused(source: Sender) -> None:
    for media_type, headers in (
        ("application/json", {}),
        ("text/plain", {}),
        ("text/csv; charset=gbk", {}),
        (NDJSON, {"content-encoding": "gzip"}),
    ):
        response = await source.send(ndjson([row(1)]), media_type=media_type, **headers)
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


async def test_a_header_that_no_row_fits_is_refused(source: Sender) -> None:
    response = await source.send(b"subject,colour\nx,y\n", media_type="text/csv")
    assert (response.status_code, response.json()["code"]) == (422, "invalid")
    assert response.json()["source"] == "header"


async def test_an_idempotency_key_is_required(source: Sender) -> None:
    missing = await source.send(ndjson([row(1)]), key=None)
    assert (missing.status_code, missing.json()["code"]) == (400, "malformed")
    for key in ("", "x" * 256, "a b"):
        response = await source.send(ndjson([row(1)]), key=None, **{"idempotency-key": key})
        assert (response.status_code, response.json()["code"]) == (422, "invalid")


async def test_a_page_that_can_t_be_is_refused(source: Sender) -> None:
    link = (await source.send(ndjson([row(1)]))).json()["links"]["errors"]
    for query in ("limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=-1", "cursor=9999999999"):
        response = await source.call("GET", f"{link}?{query}")
        assert (response.status_code, response.json()["code"]) == (422, "invalid")


async def test_a_suspended_source_sends_nothing(platform: Platform, source: Sender) -> None:
    async with platform.service("database").transaction() as tx:
        await platform.service("partners").suspend_source(tx, "bureau")
    response = await source.send(ndjson([row(1)]))
    assert response.status_code in {401, 403}


async def test_partners_send_no_records(platform: Platform) -> None:
    partner = await platform.partner()
    token = await partner.token()
    response = await partner.call("POST", PATH, token, content=ndjson([row(1)]), headers={"content-type": NDJSON})
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    assert (await platform.http.post(PATH, content=b"")).status_code == 401
