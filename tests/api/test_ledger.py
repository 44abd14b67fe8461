"""``/v1/ledger`` as anyone sees it."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from tests.support.ledger import Log, entry
from tests.support.rooms import calling
from tests.support.world import World
from xinyi.kernel.canonical import b64url, unb64url
from xinyi.ledger.http import LedgerController
from xinyi.ledger.tree import leaf_hash, verify_consistency, verify_inclusion

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http(world: World) -> AsyncGenerator[httpx.AsyncClient]:
    async with calling(world, [LedgerController]) as client:
        yield client


@pytest.fixture
def log(world: World) -> Log:
    return Log(world.services.database, world.services.ledger, world.clock)


async def test_anyone_can_read_the_keys(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/ledger/jwks")
    assert answer.status_code == 200
    [key] = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg", "xinyi_not_before"}
    assert (key["use"], key["alg"]) == ("sig", "ES256")
    assert key["kid"] == KeySet.import_key_set(answer.json()).keys[0].thumbprint()


async def test_a_checkpoint_verifies_with_the_published_keys(http: httpx.AsyncClient, log: Log) -> None:
    await log.append(3, 4)
    keys = KeySet.import_key_set((await http.get("/v1/ledger/jwks")).json())
    data = (await http.get("/v1/ledger/checkpoints/latest")).json()["data"]
    jws.deserialize_compact(data["checkpoint"], keys, algorithms=["ES256"])
    assert data["tree_size"] == 7
    assert data["issued_at"] == "2026-11-02T08:00:00Z"
    assert (await http.get("/v1/ledger/checkpoints/7")).json()["data"] == data
    assert (await http.get("/v1/ledger/checkpoints/3")).json()["data"]["tree_size"] == 3


async def test_an_auditor_who_kept_a_checkpoint_can_follow_the_log(http: httpx.AsyncClient, log: Log) -> None:
    await log.append(3)
    kept = (await http.get("/v1/ledger/checkpoints/latest")).json()["data"]
    await log.append(4)
    now = (await http.get("/v1/ledger/checkpoints/latest")).json()["data"]
    proof = (await http.get("/v1/ledger/proofs/consistency", params={"first": 3, "second": 7})).json()["data"]
    path = [unb64url(hash_) for hash_ in proof["path"]]
    assert verify_consistency(3, 7, unb64url(kept["root_hash"]), unb64url(now["root_hash"]), path)
    assert (await http.get("/v1/ledger/proofs/consistency", params={"first": 3})).json()["data"] == proof


async def test_the_holder_of_an_entry_can_prove_it_anew(http: httpx.AsyncClient, log: Log) -> None:
    await log.append(3, 4)
    leaf = leaf_hash(entry(1).body)
    now = (await http.get("/v1/ledger/checkpoints/latest")).json()["data"]
    proof = (await http.get("/v1/ledger/proofs/inclusion", params={"leaf_hash": b64url(leaf)})).json()["data"]
    path = [unb64url(hash_) for hash_ in proof["path"]]
    assert (proof["leaf_index"], proof["tree_size"]) == (1, 7)
    assert verify_inclusion(leaf, 1, 7, path, unb64url(now["root_hash"]))
    older = await http.get("/v1/ledger/proofs/inclusion", params={"leaf_hash": b64url(leaf), "tree_size": 3})
    assert older.json()["data"]["tree_size"] == 3


UNKNOWN = b64url(bytes(32))


@pytest.mark.parametrize(
    ("path", "status", "code", "source"),
    [
        ("checkpoints/2", 404, "not_found", None),
        ("checkpoints/0", 404, "not_found", None),
        ("checkpoints/99999999999999999999", 404, "not_found", None),
        ("checkpoints/-1", 404, "not_found", None),
        ("checkpoints/x", 404, "not_found", None),
        ("proofs/inclusion", 400, "malformed", "leaf_hash"),
        ("proofs/inclusion?leaf_hash=x", 422, "invalid", "leaf_hash"),
        (f"proofs/inclusion?leaf_hash={UNKNOWN[:-1]}B", 422, "invalid", "leaf_hash"),
        (f"proofs/inclusion?leaf_hash={UNKNOWN}", 404, "not_found", None),
        (f"proofs/inclusion?leaf_hash={UNKNOWN}&tree_size=0", 422, "invalid", "tree_size"),
        (f"proofs/inclusion?leaf_hash={UNKNOWN}&tree_size=x", 422, "invalid", "tree_size"),
        (f"proofs/inclusion?leaf_hash={UNKNOWN}&tree_size=99999999999999999999", 422, "invalid", "tree_size"),
        ("proofs/consistency", 400, "malformed", "first"),
        ("proofs/consistency?first=0", 422, "invalid", "first"),
        ("proofs/consistency?first=3&second=2", 422, "invalid", "first"),
        ("proofs/consistency?first=1&second=4", 404, "not_found", "second"),
        ("proofs/consistency?first=1&second=", 422, "invalid", "second"),
    ],
)
async def test_what_the_log_cant_show_is_a_coded_problem(
    http: httpx.AsyncClient, log: Log, path: str, status: int, code: str, source: str | None
) -> None:
    await log.append(3)
    answer = await http.get(f"/v1/ledger/{path}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"], answer.json().get("source")) == (status, code, source)


async def test_an_empty_log_is_not_found(http: httpx.AsyncClient) -> None:
    for path in (
        "checkpoints/latest",
        "checkpoints/1",
        f"proofs/inclusion?leaf_hash={UNKNOWN}",
        "proofs/consistency?first=1",
    ):
        answer = await http.get(f"/v1/ledger/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_checkpoint_that_was_tampered_with_is_not_passed_on(http: httpx.AsyncClient, log: Log) -> None:
    await log.append(3)
    await log.sql("UPDATE ledger_checkpoints SET jws = 'x'")
    answer = await http.get("/v1/ledger/checkpoints/3")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
