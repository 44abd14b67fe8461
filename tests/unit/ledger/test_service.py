"""Appending, proving and erasing."""

import asyncio
from datetime import timedelta
from itertools import combinations

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from tests.support.ledger import Log, entry
from tests.support.statements import statements_of
from xinyi.kernel.canonical import unb64url
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.ids import is_id
from xinyi.ledger import tree
from xinyi.ledger.checkpoint import CheckpointKeys, InvalidCheckpoint
from xinyi.ledger.model import NewEntry
from xinyi.ledger.receipt import InvalidReceipt, read_receipt
from xinyi.ledger.service import LedgerService
from xinyi.storage.database import Database
from xinyi.storage.keys import KeyRing, SigningKey

pytestmark = pytest.mark.anyio


async def test_a_receipt_proves_its_entry_with_the_published_keys_alone(log: Log) -> None:
    receipts = await log.append(1, 5, 3)
    keys = KeySet([ECKey.import_key(jwk) for jwk in log.ledger.jwks()["keys"]])
    for number, receipt in enumerate(receipts):
        body, proof, token = receipt.split("~")
        assert unb64url(body) == entry(number).body
        claims = msgspec.json.decode(unb64url(proof))
        assert set(claims) == {"leaf_index", "tree_size", "path"}
        assert claims["leaf_index"] == number

        checkpoint = jws.deserialize_compact(token, keys, algorithms=["ES256"])
        assert checkpoint.headers() == {
            "alg": "ES256",
            "typ": "xinyi-checkpoint+jws",
            "kid": log.ledger.jwks()["keys"][0]["kid"],
        }
        said = msgspec.json.decode(checkpoint.payload)
        assert set(said) == {"iss", "log_id", "tree_size", "root_hash", "iat"}
        assert said["iss"] == "https://credit.example"
        assert is_id("log", said["log_id"])
        assert said["iat"] == log.clock.now().timestamp()
        assert said["tree_size"] == claims["tree_size"]
        assert tree.verify_inclusion(
            tree.leaf_hash(unb64url(body)),
            claims["leaf_index"],
            claims["tree_size"],
            [unb64url(hash_) for hash_ in claims["path"]],
            unb64url(said["root_hash"]),
        )


async def test_a_batch_costs_one_checkpoint_and_the_same_few_statements_whatever_its_length(log: Log) -> None:
    await log.append(3)
    with statements_of(log.database) as few:
        await log.append(2)
    with statements_of(log.database) as many:
        receipts = await log.append(500)
    assert many == ["SELECT", *["INSERT"] * 4, "UPDATE"]
    assert few == (many if log.database.is_sqlite else ["SELECT", "WITH", "UPDATE"])
    assert len({receipt.split("~")[2] for receipt in receipts}) == 1
    assert await log.rows("SELECT tree_size FROM ledger_checkpoints ORDER BY tree_size") == [(3,), (5,), (505,)]


async def test_nothing_to_append_appends_nothing(log: Log) -> None:
    assert await log.append(0) == []
    assert await log.rows("SELECT * FROM ledger_head") == []


async def test_what_is_rolled_back_was_never_there(log: Log) -> None:
    async def fail() -> None:
        async with log.database.transaction() as tx:
            await log.ledger.append(tx, [entry(100)], log.clock.now())
            await log.ledger.append(tx, [entry(101)], log.clock.now())
            raise ZeroDivisionError

    await log.append(2)
    with pytest.raises(ZeroDivisionError):
        await fail()
    receipts = await log.append(1)
    _, checkpoint = read_receipt(receipts[0], CheckpointKeys(log.ledger.jwks()))
    assert checkpoint.tree_size == 3


async def test_batches_of_one_transaction_follow_each_other(log: Log) -> None:
    async with log.database.transaction() as tx:
        [first] = await log.ledger.append(tx, [entry(0)], log.clock.now())
        [second] = await log.ledger.append(tx, [entry(1)], log.clock.now())
    keys = CheckpointKeys(log.ledger.jwks())
    assert [read_receipt(receipt, keys)[1].tree_size for receipt in (first, second)] == [1, 2]


async def test_workers_that_begin_at_once_make_one_log(database: Database, keys: KeyRing, clock: ManualClock) -> None:
    logs = [Log(database, LedgerService(keys, "https://credit.example", clock), clock) for _ in range(4)]
    await asyncio.gather(*(log.append(1, 1, 1) for log in logs))
    assert await logs[0].rows("SELECT count(*), max(leaf_index) FROM ledger_leaves") == [(12, 11)]
    assert await logs[0].rows("SELECT count(DISTINCT log_id) FROM ledger_checkpoints") == [(1,)]


async def test_every_leaf_is_proved_against_every_size(log: Log) -> None:
    await log.append(1, 2, 4, 6)
    roots = {
        size: tree.EMPTY.grow([tree.leaf_hash(entry(i).body) for i in range(size)]).after.root()
        for size in range(1, 14)
    }
    async with log.database.read() as tx:
        for size, root in roots.items():
            for index in range(size):
                leaf = tree.leaf_hash(entry(index).body)
                proof = await log.ledger.inclusion(tx, leaf, size)
                assert proof == await log.ledger.inclusion(tx, index, size)
                path = [unb64url(hash_) for hash_ in proof.path]
                assert tree.verify_inclusion(leaf, proof.leaf_index, proof.tree_size, path, root)
        for first, second in combinations(roots, 2):
            consistency = await log.ledger.consistency(tx, first, second)
            path = [unb64url(hash_) for hash_ in consistency.path]
            assert tree.verify_consistency(first, second, roots[first], roots[second], path)
        assert (await log.ledger.inclusion(tx, 0)).tree_size == 13
        assert (await log.ledger.consistency(tx, 13)).path == []


async def test_checkpoints_are_found_by_size(log: Log) -> None:
    receipts = await log.append(2, 3)
    async with log.database.read() as tx:
        assert await log.ledger.latest_checkpoint(tx) == receipts[-1].split("~")[2]
        assert await log.ledger.checkpoint(tx, 2) == receipts[0].split("~")[2]
        for size in (0, 1, 6):
            with pytest.raises(XinyiError) as refused:
                await log.ledger.checkpoint(tx, size)
            assert refused.value.code is Code.NOT_FOUND


async def test_an_empty_log_has_nothing_to_show(log: Log) -> None:
    async with log.database.read() as tx:
        for reading in (
            log.ledger.latest_checkpoint(tx),
            log.ledger.checkpoint(tx, 0),
            log.ledger.inclusion(tx, 0),
            log.ledger.consistency(tx, 1, 1),
        ):
            with pytest.raises(XinyiError) as refused:
                await reading
            assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(("leaf", "size"), [(b"\0" * 32, 3), (3, 3), (2, 2), (0, 4), (-1, 3), (0, 0)])
async def test_a_leaf_that_is_not_there_has_no_proof(log: Log, leaf: bytes | int, size: int) -> None:
    await log.append(3)
    async with log.database.read() as tx:
        with pytest.raises(XinyiError) as refused:
            await log.ledger.inclusion(tx, leaf, size)
    assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("first", "second", "code"), [(0, 3, Code.INVALID), (3, 2, Code.INVALID), (1, 4, Code.NOT_FOUND)]
)
async def test_sizes_that_do_not_fit_have_no_proof(log: Log, first: int, second: int, code: Code) -> None:
    await log.append(3)
    async with log.database.read() as tx:
        with pytest.raises(XinyiError) as refused:
            await log.ledger.consistency(tx, first, second)
    assert refused.value.code is code


async def test_an_erased_entry_leaves_its_leaf_and_a_trace(log: Log) -> None:
    await log.append(4)
    assert await log.erase(entry(1).id) == 1
    assert await log.rows("SELECT leaf_index, erased_by FROM ledger_entries WHERE body IS NULL") == [(1, 4)]
    [(kind, body)] = await log.rows(
        "SELECT kind, body FROM ledger_leaves JOIN ledger_entries USING (log_id, leaf_index) WHERE leaf_index = 4"
    )
    assert kind == "erasure"
    assert msgspec.json.decode(bytes(body))["leaf_indexes"] == [1]  # type: ignore[call-overload]  # SQLite's blob
    async with log.database.read() as tx:
        assert (await log.ledger.inclusion(tx, tree.leaf_hash(entry(1).body))).leaf_index == 1


async def test_what_is_not_there_or_already_gone_is_not_erased_again(log: Log) -> None:
    await log.append(2)
    assert await log.erase("chk_unknown") == 0
    assert await log.erase(entry(0).id) == 1
    assert await log.erase(entry(0).id) == 0
    assert log.length == 3


async def test_an_erasure_cannot_be_erased(log: Log) -> None:
    await log.append(2)
    await log.erase(entry(0).id)
    [(erasure,)] = await log.rows("SELECT entry_id FROM ledger_leaves WHERE kind = 'erasure'")
    assert await log.erase(str(erasure)) == 0


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE ledger_head SET frontier = zeroblob(64)",
        "UPDATE ledger_head SET frontier = zeroblob(32)",
        "UPDATE ledger_head SET tree_size = 5",
        "UPDATE ledger_head SET log_id = 'log_00000000000000000000000000'",
        "UPDATE ledger_head SET checkpoint = NULL",
        "UPDATE ledger_head SET checkpoint = 'a.b.c'",
        "UPDATE ledger_head SET checkpoint = substr(checkpoint, 1, length(checkpoint) - 4) || 'AAAA'",
        "UPDATE ledger_head SET tree_size = 0, frontier = zeroblob(0), checkpoint = NULL",
        "DELETE FROM ledger_head",
        "UPDATE ledger_head SET tree_size = 1, frontier = (SELECT leaf_hash FROM ledger_leaves WHERE leaf_index = 0)",
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_head_that_was_tampered_with_is_never_signed_over(
    log: Log, keys: KeyRing, damage: str, restarted: bool
) -> None:
    await log.append(1, 2)
    if restarted:
        log.ledger = LedgerService(keys, "https://credit.example", log.clock)
    await log.sql(damage)
    with pytest.raises(XinyiError) as refused:
        await log.append(1)
    assert refused.value.code is Code.UNAVAILABLE
    assert await log.rows("SELECT count(*) FROM ledger_checkpoints") == [(2,)]


async def test_a_log_that_was_set_back_to_an_older_state_is_not_continued(log: Log) -> None:
    await log.append(1, 2)
    await log.append(1)
    await log.sql(
        "DELETE FROM ledger_leaves WHERE leaf_index >= 1",
        "DELETE FROM ledger_entries WHERE leaf_index >= 1",
        "DELETE FROM ledger_nodes",
        "DELETE FROM ledger_checkpoints WHERE tree_size > 1",
        "UPDATE ledger_head SET tree_size = 1, frontier = (SELECT leaf_hash FROM ledger_leaves),"
        " checkpoint = (SELECT jws FROM ledger_checkpoints)",
    )
    with pytest.raises(XinyiError, match="shorter than it was"):
        await log.append(1)


async def test_a_node_that_is_missing_is_a_refusal_and_no_false_proof(log: Log) -> None:
    await log.append(8)
    await log.sql("DELETE FROM ledger_nodes WHERE level = 1 AND position = 1")
    async with log.database.read() as tx:
        with pytest.raises(XinyiError) as refused:
            await log.ledger.inclusion(tx, 0)
    assert refused.value.code is Code.UNAVAILABLE


async def test_the_newest_key_signs_and_older_checkpoints_stay_readable(log: Log, keys: KeyRing, tmp_path) -> None:
    [old] = await log.append(1)
    newer = fresh_keys(tmp_path).ledger.signing
    log.ledger = LedgerService(KeyRing([keys.signing, newer], log.clock), "https://credit.example", log.clock)
    log.clock.advance(timedelta(days=1))
    [new] = await log.append(1)
    published = CheckpointKeys(log.ledger.jwks())
    assert [read_receipt(receipt, published)[1].tree_size for receipt in (old, new)] == [1, 2]
    with pytest.raises(InvalidCheckpoint, match="none of the ledger's keys"):
        read_receipt(new, CheckpointKeys(keys.public_jwks()))


async def test_a_receipt_that_was_changed_proves_nothing(log: Log) -> None:
    receipts = await log.append(3)
    keys = CheckpointKeys(log.ledger.jwks())
    body, proof, token = receipts[0].split("~")
    other_body, other_proof, _ = receipts[1].split("~")
    for changed in (
        f"{other_body}~{proof}~{token}",
        f"{body}~{other_proof}~{token}",
        f"{body}~{proof}",
        f"{body}~~{token}",
        "",
    ):
        with pytest.raises(InvalidReceipt):
            read_receipt(changed, keys)
    [later] = await log.append(1)
    with pytest.raises(InvalidReceipt, match="different sizes"):
        read_receipt(f"{body}~{proof}~{later.split('~')[2]}", keys)


async def test_another_kind_of_token_signed_by_a_ledger_key_is_no_checkpoint(
    ledger: LedgerService, keys: KeyRing
) -> None:
    key: SigningKey = keys.signing
    token = jws.serialize_compact(
        {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, b"{}", key.key, algorithms=["ES256"]
    )
    with pytest.raises(InvalidCheckpoint, match="its type isn't"):
        CheckpointKeys(keys.public_jwks()).read(token)
    with pytest.raises(XinyiError) as refused:
        ledger.read_checkpoint(token)
    assert refused.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("jwks", [{}, {"keys": []}, {"keys": [{"kty": "EC", "crv": "P-256"}]}, {"keys": [1]}])
def test_a_key_set_without_a_key_is_refused(jwks: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="key"):
        CheckpointKeys(jwks)


async def test_an_entry_may_be_any_bytes(log: Log) -> None:
    async with log.database.transaction() as tx:
        [receipt] = await log.ledger.append(tx, [NewEntry("check", "chk_x", b"\xff\x00")], log.clock.now())
    assert read_receipt(receipt, CheckpointKeys(log.ledger.jwks()))[0] == b"\xff\x00"
