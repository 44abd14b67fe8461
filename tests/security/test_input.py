"""Whatever is sent gets an answer with a code, and none of it is the server's fault."""

import gzip
import json
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec import Struct

from tests.support.oauth import PartnerProgram, Platform, running_platform
from tests.support.pairs import Pair
from tests.support.server import LiveServer, running_server
from xinyi.app import api_document, create_app
from xinyi.kernel.errors import DEFINITIONS, Code
from xinyi.settings import Settings

CHECKS = "/v1/checks"
JSON = {"content-type": "application/json"}
VALID = {"scenario": "bike-deposit", "consent_id": "cns_01kb0x4m9v5w8q2r7s3t6y1zab", "reference": "CASE-1"}
LIMIT = 1024 * 1024


class Caller(Struct):
    """A partner with a token."""

    platform: Platform
    partner: PartnerProgram
    token: str

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        proof = self.partner.proof(method, path.partition("?")[0], token=self.token)
        return await self.partner.call(method, path, self.token, proof=proof, **more)

    async def post(self, content: Any, **headers: str) -> httpx.Response:
        return await self.call("POST", CHECKS, content=content, headers={**JSON, **headers})


@pytest.fixture(scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncGenerator[Caller]:
    async with running_platform(tmp_path_factory.mktemp("platform"), pair) as platform:
        partner = await platform.partner("bike-deposit")
        yield Caller(platform, partner, await partner.token())


def refused(response: httpx.Response, code: Code, source: str | None = None) -> dict[str, Any]:
    """The problem document, which is whole and says ``code``."""
    problem: dict[str, Any] = response.json()
    assert (problem["code"], response.status_code) == (code, DEFINITIONS[code].status), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == response.status_code
    assert problem["type"] == f"/v1/metadata/error-codes#{code}"
    assert problem["instance"] == f"urn:uuid:{response.headers['x-fapi-interaction-id']}"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    if source is not None:
        assert problem.get("source") == source, problem
    return problem


def body(**members: Any) -> bytes:
    return json.dumps({**VALID, **members}).encode()


async def test_a_well_formed_question_passes_the_reading(caller: Caller) -> None:
    refused(await caller.post(body()), Code.NOT_FOUND)


class TestWhatCantBeParsed:
    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b" \n", id="white space"),
            pytest.param(b"{", id="cut off"),
            pytest.param(b"{'scenario': 'x'}", id="not JSON"),
            pytest.param(body() + b"{}", id="two documents"),
            pytest.param(b"\xef\xbb\xbf" + body(), id="byte order mark"),
            pytest.param(body().decode().encode("utf-16"), id="UTF-16"),
            pytest.param(body(reference="x").replace(b'"x"', b'"\xff"'), id="bad UTF-8"),
            pytest.param(body(reference="x").replace(b'"x"', b'"\x01"'), id="control character"),
            pytest.param(body(reference="x").replace(b'"x"', b"NaN"), id="NaN"),
            pytest.param(body(reference="x").replace(b'"x"', b"-Infinity"), id="Infinity"),
            pytest.param(body(reference="x").replace(b'"x"', b"9" * 5000), id="endless number"),
            pytest.param(b'{"scenario":"a","scenario":"b"}', id="member twice"),
            pytest.param(b'{"scenario":"a","sc\\u0065nario":"b"}', id="member twice, once escaped"),
            pytest.param(b"[" * 33 + b"]" * 33, id="33 levels"),
            pytest.param(b"[" * 100_000, id="100,000 levels"),
            pytest.param(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, id="50,000 levels of objects"),
        ],
    )
    async def test_is_malformed(self, caller: Caller, content: bytes) -> None:
        refused(await caller.post(content), Code.MALFORMED)


class TestWrongMembers:
    @pytest.mark.parametrize(
        ("content", "source"),
        [
            pytest.param(body(surprise=1), "/surprise", id="unknown member"),
            pytest.param(body(**{"a/b~c": 1}), "/a~1b~0c", id="unknown member with a slash"),
            pytest.param(b"{}", None, id="nothing"),
            pytest.param(b"[]", "", id="an array"),
            pytest.param(b"null", "", id="null"),
            pytest.param(body(reference=1), "/reference", id="number for text"),
            pytest.param(body(reference=None), "/reference", id="null for text"),
            pytest.param(body(reference=["x"]), "/reference", id="array for text"),
            pytest.param(body(reference=True), "/reference", id="boolean for text"),
            pytest.param(body(reference=""), "/reference", id="empty text"),
            pytest.param(body(reference="x" * 129), "/reference", id="long text"),
            pytest.param(body(reference="a\0b"), "/reference", id="NUL"),
            pytest.param(body(reference="\ud800"), "/reference", id="half a surrogate pair"),
            pytest.param(body(**{"a\0": 1}), "/a\ufffd", id="NUL in a name"),
            pytest.param(body(reference="a\nb"), "/reference", id="line feed"),
        ],
    )
    async def test_are_named(self, caller: Caller, content: bytes, source: str | None) -> None:
        refused(await caller.post(content), Code.INVALID, source)

    @pytest.mark.parametrize(
        "reference", ["号码-1", "\u202ereversed\u2066", "a\u200bb", "😀", "'; DROP TABLE checks; --"]
    )
    async def test_text_in_any_script_is_none(self, caller: Caller, reference: str) -> None:
        refused(await caller.post(body(reference=reference)), Code.NOT_FOUND)

    async def test_text_never_coerces_to_a_number(self, caller: Caller) -> None:
        asked = {"cases": [], "version": "1"}
        response = await caller.call("POST", "/v1/scenarios/bike-deposit/dry-runs", json=asked)
        refused(response, Code.INVALID)

    async def test_no_refusal_speaks_the_readers_language(self, caller: Caller) -> None:
        """Whatever is wrong, at whichever endpoint: types of Python and what was sent aren't told."""
        told = []
        for method, path, name in wrong_requests():
            query = {} if name is None else {"params": {name: "\u00a7sent"}}
            wrong: list[Any] = [[], {"\u00a7sent": 1}, {}]
            bodies: list[dict[str, Any]] = [{}] if name is not None else [{"json": sent} for sent in wrong]
            for more in bodies:
                response = await caller.call(method, path, **query, **more)
                if response.status_code in {400, 422}:
                    told.append(response.json().get("detail", ""))
        assert len(told) > 40
        assert [detail for detail in told if "`" in detail or "\u00a7" in detail] == []


def wrong_requests() -> Iterator[tuple[str, str, str | None]]:
    """The operations of a partner: those that take JSON, and those that take a parameter in the query, by its name."""
    for path, operations in api_document()["paths"].items():
        for method, operation in operations.items():
            where = re.sub(r"\{\w+\}", "bike-deposit", path)
            if not path.startswith("/v1/") or path.startswith("/v1/me"):
                continue
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                yield method.upper(), where, None
            for parameter in operation.get("parameters", ()):
                if parameter.get("in") == "query":
                    yield method.upper(), where, parameter["name"]


class TestBodies:
    async def test_over_the_limit_is_refused(self, caller: Caller) -> None:
        refused(await caller.post(b" " * (LIMIT + 1)), Code.BODY_TOO_LARGE)

    async def test_over_the_limit_in_chunks_is_refused_before_its_end(self, caller: Caller) -> None:
        sent = 0

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal sent
            while sent < 64 * LIMIT:
                sent += 65536
                yield b" " * 65536

        refused(await caller.post(chunks()), Code.BODY_TOO_LARGE)

    async def test_at_the_limit_is_read(self, caller: Caller) -> None:
        refused(await caller.post(b" " * LIMIT), Code.MALFORMED)

    @pytest.mark.parametrize(
        "media_type",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonx",
            "",
            ";",
            "\xff",
        ],
    )
    async def test_of_another_media_type_is_refused(self, caller: Caller, media_type: str) -> None:
        response = await caller.post(body(), **{"content-type": media_type.encode("latin-1")})  # type: ignore[arg-type]  # raw
        refused(response, Code.UNSUPPORTED_MEDIA_TYPE, "content-type")

    async def test_without_a_media_type_is_refused(self, caller: Caller) -> None:
        refused(await caller.call("POST", CHECKS, content=body()), Code.UNSUPPORTED_MEDIA_TYPE, "content-type")

    async def test_in_json_with_a_parameter_is_read(self, caller: Caller) -> None:
        refused(await caller.post(body(), **{"content-type": "Application/JSON; charset=utf-8"}), Code.NOT_FOUND)

    @pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "x"])
    async def test_that_is_compressed_is_refused(self, caller: Caller, coding: str) -> None:
        response = await caller.post(gzip.compress(body()), **{"content-encoding": coding})
        refused(response, Code.UNSUPPORTED_MEDIA_TYPE, "content-encoding")

    async def test_of_a_get_is_ignored(self, caller: Caller) -> None:
        response = await caller.call("GET", "/v1/checks/chk_1", content=b"{" * 100, headers=JSON)
        refused(response, Code.NOT_FOUND)


class TestHeaders:
    async def test_that_are_huge_are_refused(self, caller: Caller) -> None:
        refused(await caller.post(body(), **{"x-long": "x" * 40_000}), Code.HEADERS_TOO_LARGE)

    async def test_that_are_many_are_refused(self, caller: Caller) -> None:
        many = {f"x-{number}": "x" * 40 for number in range(1000)}
        refused(await caller.post(body(), **many), Code.HEADERS_TOO_LARGE)

    @pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "键".encode(), b"\xff", b"a\x01"])
    async def test_an_odd_idempotency_key_is_named(self, caller: Caller, key: str | bytes) -> None:
        response = await caller.post(body(), **{"idempotency-key": key})  # type: ignore[arg-type]  # raw bytes
        refused(response, Code.INVALID, "idempotency-key")

    @pytest.mark.parametrize("host", ["", "a b", "[", "x" * 300, "a/b", "evil.example"])
    async def test_a_foreign_host_changes_nothing_but_its_own_answer(self, caller: Caller, host: str) -> None:
        response = await caller.platform.http.get("/v1/scenarios/nothing", headers={"host": host})
        assert response.status_code in {400, 404}
        assert host == "" or host not in response.text

    @pytest.mark.parametrize(
        "name", ["accept", "accept-language", "cookie", "if-none-match", "x-fapi-interaction-id", "range"]
    )
    @pytest.mark.parametrize("value", [b"", b"\xff\xfe", b';;=,"', b"x" * 8000])
    async def test_garbage_in_a_header_is_harmless(self, caller: Caller, name: str, value: bytes) -> None:
        response = await caller.platform.http.get("/v1/scenarios", headers={name.encode(): value})
        assert response.status_code == 200


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/nothing",
            "/v1",
            "/v1/checks/%00",
            "/v1/scenarios/%00",
            "/v1/scenarios/a%0Ab",
            "/v1/scenarios/..%2f..%2fetc%2fpasswd",
            "/v1/scenarios/%2e%2e",
            "/v1/scenarios/%ff%fe",
            "/v1/scenarios/%ed%a0%80",
            "/v1/scenarios/" + "x" * 65,
            "/v1/scenarios/" + "x" * 2000,
            "/v1/scenarios/" + "%E4%BF%A1" * 400,
            "/v1/scenarios/bike-deposit/versions/x",
            "/v1/scenarios/bike-deposit/versions/" + "9" * 30,
            "/v1/scenarios/bike-deposit/versions/" + "9" * 1000,
            "/v1/scenarios/bike-deposit/versions/-1",
            "/v1/scenarios/bike-deposit/versions/1.0",
            "/assets/..%2fpages.py",
            "/docs/nothing",
        ],
    )
    async def test_that_lead_nowhere_are_not_found(self, caller: Caller, path: str) -> None:
        refused(await caller.platform.http.get(path), Code.NOT_FOUND)

    async def test_that_lead_nowhere_are_a_page_for_who_looks_for_pages(self, caller: Caller) -> None:
        browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
        response = await caller.platform.http.get("/nothing", headers=browser)
        assert (response.status_code, response.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "没有找到" in response.text
        for accept in ("*/*", "application/json", "application/problem+json"):
            refused(await caller.platform.http.get("/nothing", headers={"accept": accept}), Code.NOT_FOUND)

    @pytest.mark.parametrize(
        "path",
        [
            "//v1//scenarios",
            "/v1/scenarios/",
            "/v1/./scenarios",
            "/V1/scenarios",
            "/v1/scenarios/bike-deposit/versions/%D9%A1",
        ],
    )
    async def test_written_otherwise_are_found_or_not_and_nothing_else(self, caller: Caller, path: str) -> None:
        response = await caller.platform.http.get(httpx.URL(f"http://127.0.0.1:8000{path}"))
        assert response.status_code in {200, 404}

    async def test_another_tenants_id_is_as_none(self, caller: Caller) -> None:
        for path in (
            "/v1/checks/chk_01kb0x4m9v5w8q2r7s3t6y1zab",
            "/v1/checks/%F0%9F%98%80",
            "/v1/consents/" + "x" * 900,
        ):
            refused(await caller.call("GET", path), Code.NOT_FOUND)


class TestMethods:
    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("DELETE", "/v1/checks", "GET, HEAD, OPTIONS, POST"),
            ("POST", "/v1/scenarios", "GET, HEAD, OPTIONS"),
            ("PUT", "/v1/consents/cns_1", "DELETE, GET, HEAD, OPTIONS"),
            ("TRACE", "/v1/scenarios", "GET, HEAD, OPTIONS"),
            ("BREW", "/v1/scenarios", "GET, HEAD, OPTIONS"),
            ("HEAD", "/oauth2/token", "OPTIONS, POST"),
        ],
    )
    async def test_that_arent_allowed_are_told_which_are(
        self, caller: Caller, method: str, path: str, allow: str
    ) -> None:
        response = await caller.platform.http.request(method, path)
        assert response.headers["allow"] == allow
        if method == "HEAD":
            assert (response.status_code, response.content) == (405, b"")
        else:
            refused(response, Code.METHOD_NOT_ALLOWED)

    async def test_head_is_get_without_the_body(self, caller: Caller) -> None:
        got = await caller.platform.http.get("/v1/scenarios")
        head = await caller.platform.http.head("/v1/scenarios")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(got.content))
        assert head.headers["etag"] == got.headers["etag"]

    async def test_a_proof_for_head_is_a_proof_for_head(self, caller: Caller) -> None:
        assert (await caller.call("HEAD", "/v1/checks/chk_1")).status_code == 404
        proof = caller.partner.proof("GET", "/v1/checks/chk_1", token=caller.token)
        assert (await caller.partner.call("HEAD", "/v1/checks/chk_1", caller.token, proof=proof)).status_code == 401

    async def test_options_tells_the_methods(self, caller: Caller) -> None:
        response = await caller.platform.http.options("/v1/scenarios")
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["allow"] == "GET, OPTIONS"
        assert response.headers["x-fapi-interaction-id"]


class TestQueries:
    async def test_nul_is_malformed(self, caller: Caller) -> None:
        refused(await caller.platform.http.get("/v1/scenarios?x=%00"), Code.MALFORMED)

    @pytest.mark.parametrize("query", ["%", "%zz", "a[]=1&a[b]=2", "=", "&&&", "%ff", "a=" + "x" * 20_000, "?" * 100])
    async def test_garbage_is_ignored(self, caller: Caller, query: str) -> None:
        assert (await caller.platform.http.get(f"/v1/scenarios?{query}")).status_code == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("live")
    with running_server(lambda url: create_app(Settings(data_dir=folder, issuer=url))) as running:
        yield running


class TestTheWire:
    @pytest.mark.parametrize(
        "request_bytes",
        [
            pytest.param(b"GET /v1/scenarios HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", id="two hosts"),
            pytest.param(b"GET /v1/scenarios HTTP/1.0\r\n\r\n", id="no host"),
            pytest.param(b"GET /v1/scen\x00arios HTTP/1.1\r\nHost: x\r\n\r\n", id="raw NUL in the path"),
            pytest.param(b"GET /v1/\xe4\xbf\xa1 HTTP/1.1\r\nHost: x\r\n\r\n", id="raw bytes in the path"),
            pytest.param(b"GET http://evil.example/v1/scenarios HTTP/1.1\r\nHost: x\r\n\r\n", id="absolute form"),
            pytest.param(b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", id="asterisk"),
            pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", id="asterisk of OPTIONS"),
            pytest.param(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", id="CONNECT"),
            pytest.param(b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="long path"),
            pytest.param(b"nonsense\r\n\r\n", id="not HTTP"),
            pytest.param(
                b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", id="length that is no number"
            ),
            pytest.param(
                b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
                id="two lengths",
            ),
            pytest.param(
                b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                id="length and chunks",
            ),
            pytest.param(
                b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="bad chunk"
            ),
        ],
    )
    def test_nonsense_is_the_callers_fault(self, server: LiveServer, request_bytes: bytes) -> None:
        status = exchange(server, request_bytes)
        assert status is None or 200 <= status < 500

    def test_the_answer_to_head_ends_with_its_headers(self, server: LiveServer) -> None:
        answer = talk(server, b"HEAD /v1/scenarios HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"\r\n\r\n")

    def test_a_body_that_ends_early_leaves_the_server_well(self, server: LiveServer) -> None:
        head = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        exchange(server, head + b"Content-Length: 100\r\n\r\nabc")
        assert exchange(server, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") == 200


def exchange(server: LiveServer, request: bytes) -> int | None:
    """The status of what comes back before either side ends the connection; None when nothing does."""
    answer = talk(server, request)
    return int(answer.split(b" ", 2)[1]) if answer else None


def talk(server: LiveServer, request: bytes) -> bytes:
    """What the server sends before it ends the connection, or has sent by the time we hear nothing more."""
    address = urlsplit(server.url)
    answer = b""
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while received := connection.recv(65536):
                answer += received
    return answer
