"""Checkpoints verify, and two of them belong to one history or the difference is found."""

from typing import Any

import msgspec
import pytest

from tests.sdk.conftest import result
from tests.sdk.platform import ISSUER, NOW, Log, b64, canonical, consistency_path, unb64
from xinyi_sdk import ConsistencyProof, LogInvalid, Xinyi, verify_checkpoint, verify_consistency
from xinyi_sdk._merkle import is_consistent
from xinyi_sdk.testing import FakeXinyi
from xinyi_sdk.testing._log import FakeLog


def filled(size: int) -> Log:
    log = Log()
    for number in range(size):
        log.append(b"%d" % number)
    return log


def test_a_checkpoint_says_what_was_signed() -> None:
    log = filled(3)
    head = verify_checkpoint(log.checkpoint(3), log.jwks, issuer=ISSUER)
    assert (head.tree_size, head.log_id, head.signed_at, head.kid) == (3, log.log_id, NOW, log.key.kid)
    assert unb64(head.root_hash) == log.tree.get_root(3)


@pytest.mark.parametrize("size", [*range(1, 13), 16, 17])
def test_consistency_agrees_with_the_rfcs_recursion_between_every_two_sizes(size: int) -> None:
    log = filled(size)
    roots = {n: log.tree.get_root(n) for n in range(1, size + 1)}
    for first in range(1, size + 1):
        path = [unb64(node) for node in consistency_path(log, first, size)]
        assert is_consistent(first, size, roots[first], roots[size], path)
        assert not is_consistent(first, size, roots[first], roots[size], [*path, roots[1]])
        # the way to the root of a tree that is deeper is longer, whatever root it is given
        assert not is_consistent(first, 4 * size, roots[first], roots[size], path)
        assert not is_consistent(first, size, bytes(32), roots[size], path)
        assert not is_consistent(first, size, roots[first], bytes(32), path)
        if path:
            assert not is_consistent(first, size, roots[first], roots[size], path[:-1])
            assert not is_consistent(first, size, roots[first], roots[size], [*path[:-1], bytes(32)])
    assert not is_consistent(0, size, roots[1], roots[size], [])
    assert not is_consistent(size + 1, size, roots[1], roots[size], [])


@pytest.mark.parametrize("size", [1, 2, 5, 8, 11])
def test_the_fakes_own_log_agrees_with_an_independent_one(size: int) -> None:
    theirs, fake = filled(size), FakeLog(ISSUER)
    receipts = [fake.append(b"%d" % number) for number in range(size)]
    assert fake.head(size)["root_hash"] == b64(theirs.tree.get_root(size))
    assert receipts[-1].split("~")[1] == b64(canonical(theirs.proof(size - 1, size)))
    for first in range(1, size + 1):
        assert fake.consistency(first, size) == consistency_path(theirs, first, size)


def test_two_heads_of_one_history_are_proved_offline() -> None:
    log = filled(7)
    first, second = (verify_checkpoint(log.checkpoint(size), log.jwks) for size in (4, 7))
    proof = ConsistencyProof(4, 7, tuple(consistency_path(log, 4, 7)))
    verify_consistency(first, second, proof)
    verify_consistency(first, first, ConsistencyProof(4, 4, ()))
    for spoiled, reason in (
        (ConsistencyProof(3, 7, proof.path), "consistency"),
        (ConsistencyProof(4, 7, proof.path[:-1]), "consistency"),
        (ConsistencyProof(4, 7, ("AAAA",)), "form"),
        (ConsistencyProof(4, 7, ("=",)), "form"),
    ):
        refused(reason, first, second, spoiled)
    refused("log", first, msgspec.structs.replace(second, log_id="log_another"), proof)
    refused("consistency", msgspec.structs.replace(first, root_hash=b64(bytes(32))), second, proof)


def refused(reason: str, first: Any, second: Any, proof: ConsistencyProof) -> None:
    with pytest.raises(LogInvalid) as caught:
        verify_consistency(first, second, proof)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda text: text + ".", "form"),
        (lambda text: text[:-4] + "AAAA", "signature"),
        (lambda text: "e30." + text.partition(".")[2], "form"),
    ],
)
def test_a_checkpoint_that_was_changed_is_refused(spoil: Any, reason: str) -> None:
    log = filled(1)
    with pytest.raises(LogInvalid) as caught:
        verify_checkpoint(spoil(log.checkpoint(1)), log.jwks)
    assert caught.value.reason == reason
    with pytest.raises(LogInvalid, match="issuer"):
        verify_checkpoint(log.checkpoint(1), log.jwks, issuer="https://another.example")


async def test_a_client_proves_that_the_log_only_grew_since(fake_xinyi: FakeXinyi) -> None:
    for make in (fake_xinyi.client, fake_xinyi.async_client):
        client: Any = make()
        fake_xinyi.log.append(b"an entry")
        kept = await result(client.ledger.checkpoint())
        for _ in range(3):
            fake_xinyi.log.append(b"another")
        newest = await result(client.ledger.grown(kept))
        assert newest.tree_size == kept.tree_size + 3
        assert (await result(client.ledger.checkpoint(size=kept.tree_size))).root_hash == kept.root_hash
        with pytest.raises(LogInvalid, match="consistency"):
            await result(client.ledger.grown(msgspec.structs.replace(newest, tree_size=newest.tree_size + 1)))
        with pytest.raises(LogInvalid, match="consistency"):
            await result(client.ledger.grown(msgspec.structs.replace(kept, root_hash=b64(bytes(32)))))


def test_a_key_that_is_new_is_fetched(fake_xinyi: FakeXinyi) -> None:
    with Xinyi() as client:
        fake_xinyi.log.append(b"an entry")
        client.ledger.checkpoint()
        fake_xinyi.log._key = type(fake_xinyi.log._key).generate()
        assert client.ledger.checkpoint().kid == fake_xinyi.log._key.kid
