"""A receipt verifies with the log's keys alone, and no changed receipt, answer or reference does."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.sdk.platform import ISSUER, NOW, Log, b64, canonical, check, unb64
from xinyi_sdk import Receipt, ReceiptInvalid, verify_receipt
from xinyi_sdk._merkle import leaf_hash, root_from_inclusion

REFERENCE = "LOAN-2026-000123"


@pytest.fixture(scope="module")
def log() -> Log:
    log = Log()
    for number in range(6):
        log.append(b"another's entry %d" % number)
    return log


@pytest.fixture(scope="module")
def body(log: Log) -> Any:
    body = check(log, REFERENCE, disclosed={"tax-rating": {"grade": "A", "year": 2025}, "region": {"list": "440300"}})
    entry = unb64(body["receipt"].split("~")[0])
    log.append(b"a later entry")
    log.append(b"and one more")
    return {**body, "receipt": log.receipt(entry, 6)}


def refused(reason: str, receipt: str, jwks: Any, **options: Any) -> None:
    with pytest.raises(ReceiptInvalid) as caught:
        verify_receipt(receipt, jwks, **options)
    assert caught.value.reason == reason, str(caught.value)


def test_a_receipt_says_what_was_recorded(log: Log, body: Any) -> None:
    verified = verify_receipt(body["receipt"], log.jwks, answer=body, reference=REFERENCE, issuer=ISSUER)
    assert verified.met
    assert verified.id == body["data"]["id"]
    assert verified.criteria == {"tax-rating": "met", "tax-on-time": "met"}
    assert (verified.leaf_index, verified.tree_size, verified.log_id) == (6, 9, log.log_id)
    assert verified.signed_at == NOW
    assert verified.entry["no_onward_supply"] is True
    assert verified.entry["later"], "a member that this version doesn't know is kept"


def test_the_answer_may_be_given_as_its_data_or_as_the_whole_body(log: Log, body: Any) -> None:
    assert verify_receipt(Receipt(body["receipt"]), log.jwks, answer=body["data"]).id == body["data"]["id"]


@pytest.mark.parametrize("size", [*range(1, 18), 31, 32, 33])
def test_inclusion_agrees_with_an_independent_tree_at_every_place(size: int) -> None:
    log = Log()
    entries = [b"%d" % number for number in range(size)]
    for entry in entries:
        log.append(entry)
    root = log.tree.get_root(size)
    for index, entry in enumerate(entries):
        path = [unb64(node) for node in log.proof(index, size)["path"]]
        assert root_from_inclusion(leaf_hash(entry), index, size, path) == root
        wrong = [place for place in range(-1, size + 2) if place != index]
        assert all(root_from_inclusion(leaf_hash(entry), place, size, path) != root for place in wrong)
        assert root_from_inclusion(leaf_hash(entry), index, size, [*path, root]) != root
        if path:
            assert root_from_inclusion(leaf_hash(entry), index, size, path[:-1]) != root


def test_no_single_bit_of_a_receipts_text_can_be_changed(log: Log, body: Any) -> None:
    text, jwks = body["receipt"], log.jwks
    for place, character in enumerate(text):
        for bit in range(7):
            changed = text[:place] + chr(ord(character) ^ 1 << bit) + text[place + 1 :]
            with pytest.raises(ReceiptInvalid):
                verify_receipt(changed, jwks)


def test_no_single_bit_of_what_a_receipt_encodes_can_be_changed(log: Log, body: Any) -> None:
    entry, proof, checkpoint = body["receipt"].split("~")
    segments = [entry, proof, *checkpoint.split(".")]
    jwks = log.jwks
    for number, segment in enumerate(segments):
        data = unb64(segment)
        for place in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[place // 8] ^= 1 << place % 8
            parts = [*segments[:number], b64(bytes(flipped)), *segments[number + 1 :]]
            with pytest.raises(ReceiptInvalid):
                verify_receipt(f"{parts[0]}~{parts[1]}~{'.'.join(parts[2:])}", jwks)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "~",
        lambda text: text + "~e30",
        lambda text: text + ".e30",
        lambda text: text + "=",
        lambda text: text + " ",
        lambda text: " " + text,
        lambda text: text.replace("~", "~~", 1),
        lambda text: text.rpartition("~")[0],
        lambda text: text.rpartition(".")[0],
        lambda text: text.replace("~", "=~", 1),
        lambda text: "信" + text,
        lambda _: "",
        lambda _: "~~",
        lambda _: "~~..",
        lambda _: "e30~e30~e30.e30.e30",
    ],
)
def test_nothing_may_be_added_or_missing(log: Log, body: Any, change: Callable[[str], str]) -> None:
    refused("form", change(body["receipt"]), log.jwks)


def test_the_entry_must_be_the_one_that_is_in_the_tree(log: Log, body: Any) -> None:
    entry, proof, checkpoint = body["receipt"].split("~")
    members = json.loads(unb64(entry))
    refused("inclusion", f"{b64(canonical({**members, 'outcome': 'not_evidenced'}))}~{proof}~{checkpoint}", log.jwks)
    # the same members in another spelling are other bytes
    refused("inclusion", f"{b64(json.dumps(members).encode())}~{proof}~{checkpoint}", log.jwks)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda proof: {**proof, "leaf_index": 5}, "inclusion"),
        (lambda proof: {**proof, "leaf_index": 9}, "inclusion"),
        (lambda proof: {**proof, "leaf_index": -1}, "inclusion"),
        (lambda proof: {**proof, "leaf_index": 10**100}, "inclusion"),
        (lambda proof: {**proof, "tree_size": 8}, "inclusion"),
        (lambda proof: {**proof, "path": proof["path"][:-1]}, "inclusion"),
        (lambda proof: {**proof, "path": [*proof["path"], proof["path"][0]]}, "inclusion"),
        (lambda proof: {**proof, "path": proof["path"][::-1]}, "inclusion"),
        (lambda proof: {**proof, "path": [node + "A" for node in proof["path"]]}, "form"),
        (lambda proof: {**proof, "path": [b64(unb64(node)[:31]) for node in proof["path"]]}, "form"),
        (lambda proof: {**proof, "more": 1}, "form"),
        (lambda proof: {**proof, "path": "AAAA"}, "form"),
    ],
)
def test_the_proof_must_lead_to_the_signed_root(log: Log, body: Any, spoil: Any, reason: str) -> None:
    entry, proof, checkpoint = body["receipt"].split("~")
    refused(reason, f"{entry}~{b64(canonical(spoil(json.loads(unb64(proof)))))}~{checkpoint}", log.jwks)


def test_the_proof_must_be_for_the_tree_that_was_signed() -> None:
    log = Log()
    body = check(log, REFERENCE)
    for _ in range(4):
        log.append(b"more")
    entry, proof, checkpoint = log.receipt(unb64(body["receipt"].split("~")[0]), 0).split("~")
    # the path of the first of five leaves could be one of the first of six
    refused(
        "inclusion", f"{entry}~{b64(canonical({**json.loads(unb64(proof)), 'tree_size': 6}))}~{checkpoint}", log.jwks
    )


def signed(log: Log, body: Any, header: dict[str, Any], key: Any, **payload: Any) -> str:
    """The receipt with its checkpoint signed otherwise."""
    entry, proof, checkpoint = body["receipt"].split("~")
    members = {**json.loads(unb64(checkpoint.split(".")[1])), **payload}
    header = {"alg": "ES256", "typ": "xinyi-checkpoint+jws", "kid": log.key.kid, **header}
    forged = jws.serialize_compact(header, canonical(members), key, algorithms=[header["alg"]])
    return f"{entry}~{proof}~{forged}"


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_only_the_logs_key_signs(log: Log, body: Any) -> None:
    stranger = ECKey.generate_key("P-256", auto_kid=True)
    refused("signature", signed(log, body, {}, stranger), log.jwks)
    refused("key", signed(log, body, {"kid": stranger.kid}, stranger), log.jwks)
    refused("key", signed(log, body, {"kid": ""}, log.key), log.jwks)
    # a public key is no shared secret, and no signature is no signature
    public = canonical(log.key.as_dict(private=False))
    refused("signature", signed(log, body, {"alg": "HS256"}, OctKey.import_key(public)), log.jwks)
    refused("signature", signed(log, body, {"alg": "none"}, None), log.jwks)
    refused("signature", signed(log, body, {"alg": "RS256"}, RSAKey.generate_key(2048)), log.jwks)
    # the algorithm must be the key's
    refused("key", signed(log, body, {"alg": "PS256"}, RSAKey.generate_key(2048)), log.jwks)
    # another kind of JWS by the same key, such as a token, is no checkpoint
    refused("form", signed(log, body, {"typ": "at+jwt"}, log.key), log.jwks)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("ES256", ECKey.generate_key("P-256")), ("PS256", RSAKey.generate_key(2048)), ("Ed25519", OKPKey.generate_key())],
)
def test_a_log_may_sign_with_any_of_three_algorithms(log: Log, body: Any, algorithm: str, key: Any) -> None:
    jwks = {"keys": [{**key.as_dict(private=False), "kid": "k"}]}
    assert verify_receipt(signed(log, body, {"alg": algorithm, "kid": "k"}, key), jwks).met


def test_a_key_counts_only_while_it_was_in_use(log: Log, body: Any) -> None:
    def dated(**dates: int) -> Any:
        return {"keys": [{**log.jwks["keys"][0], **dates}]}

    signed_at = int(NOW.timestamp())
    assert verify_receipt(body["receipt"], dated(xinyi_not_before=signed_at + 300, xinyi_not_after=signed_at - 300)).met
    refused("key", body["receipt"], dated(xinyi_not_before=signed_at + 301))
    refused("key", body["receipt"], dated(xinyi_not_after=signed_at - 301))


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": None},
        {"keys": []},
        {"keys": ["x"]},
        {"keys": [{"kty": "EC"}]},
    ],
)
def test_a_key_set_without_the_key_verifies_nothing(body: Any, jwks: Any) -> None:
    refused("key", body["receipt"], jwks)


def test_a_key_that_is_listed_twice_or_unreadable_verifies_nothing(log: Log, body: Any) -> None:
    key = log.jwks["keys"][0]
    refused("key", body["receipt"], {"keys": [key, key]})
    refused("key", body["receipt"], {"keys": [{**key, "use": "enc"}]})
    refused("signature", body["receipt"], {"keys": [{**key, "x": "AAAA"}]})
    refused("signature", body["receipt"], {"keys": [{**key, "kty": "none"}]})


def test_another_platforms_signature_is_refused_when_the_platform_is_known(log: Log, body: Any) -> None:
    refused("issuer", body["receipt"], log.jwks, issuer="https://another.example")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"not JSON",
        lambda _: b"[]",
        lambda _: b"\xff",
        lambda entry: entry.replace(b'"kind":"check"', b'"kind":"refusal"'),
        lambda entry: entry.replace(b'"outcome":"met",', b'"outcome":"not_evidenced","outcome":"met",'),
        lambda entry: entry.replace(b":", b": ", 1),
        lambda entry: entry.replace(b'"salt":', b'"salz":'),
        lambda entry: entry + b" ",
    ],
)
def test_an_entry_that_isnt_a_checks_is_refused_though_it_is_in_the_log(spoil: Callable[[bytes], bytes]) -> None:
    log = Log()
    good = unb64(check(log, REFERENCE)["receipt"].split("~")[0])
    entry = spoil(good)
    assert entry != good
    refused("entry", log.receipt(entry, log.append(entry)), log.jwks)


@pytest.mark.parametrize("prefix", [b"sha-512:", b"", b"sha-256"])
def test_a_commitment_of_another_kind_is_refused(prefix: bytes) -> None:
    log = Log()
    body = check(log, REFERENCE, disclosed={"tax-rating": {"grade": "A"}})
    entry = unb64(body["receipt"].split("~")[0]).replace(b'"grade":"sha-256:', b'"grade":"' + prefix)
    refused("entry", log.receipt(entry, log.append(entry)), log.jwks, answer=body)


def test_the_reference_must_be_the_checks(log: Log, body: Any) -> None:
    refused("reference", body["receipt"], log.jwks, reference="LOAN-2026-000124")
    refused("reference", body["receipt"], log.jwks, reference="")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(id="chk_another"),
        lambda data: data.update(subject="psn_another"),
        lambda data: data.update(outcome="not_evidenced"),
        lambda data: data.update(as_of="2026-11-02T08:00:01Z"),
        lambda data: data.update(valid_until="2027-12-02T08:00:00Z"),
        lambda data: data["scenario"].update(version=2),
        lambda data: data["scenario"].update(digest="sha-256:AAAA"),
        lambda data: data["criteria"].pop(),
        lambda data: data["criteria"].reverse(),
        lambda data: data["criteria"][0].update(outcome="not_evidenced"),
        lambda data: data["criteria"].append({"id": "social-insurance", "outcome": "met"}),
        lambda data: data["disclosed"]["tax-rating"].update(grade="B"),
        lambda data: data["disclosed"]["tax-rating"].update(year=2024),
        lambda data: data["disclosed"]["tax-rating"].update(year="2025"),
        lambda data: data["disclosed"]["tax-rating"].update(year=2025.0),
        lambda data: data["disclosed"]["tax-rating"].update(months=12),
        lambda data: data["disclosed"]["tax-rating"].pop("grade"),
        lambda data: data["disclosed"].pop("region"),
        lambda data: data["disclosed"].update(disclosed={"x": 1}),
        lambda data: data.pop("disclosed"),
        lambda data: data.pop("salts"),
        lambda data: data["salts"].pop("region"),
        lambda data: data["salts"]["tax-rating"].update(months=data["salts"]["tax-rating"]["year"]),
        lambda data: data["salts"]["tax-rating"].update(grade=data["salts"]["tax-rating"]["year"]),
        lambda data: data["salts"]["tax-rating"].update(grade=data["salts"]["tax-rating"]["grade"] + "="),
        lambda data: data["salts"]["tax-rating"].update(grade="信"),
        lambda data: data.pop("outcome"),
    ],
)
def test_the_answer_must_be_the_one_recorded(log: Log, body: Any, change: Any) -> None:
    answer = json.loads(json.dumps(body["data"]))
    change(answer)
    refused("answer", body["receipt"], log.jwks, answer=answer)


def test_no_byte_can_move_between_a_salt_and_its_value(log: Log) -> None:
    body = check(log, REFERENCE, disclosed={"tax-on-time": {"months": 12}})
    data = body["data"]
    salt = unb64(data["salts"]["tax-on-time"]["months"])
    data["salts"]["tax-on-time"]["months"] = b64(salt + b"1")
    data["disclosed"]["tax-on-time"]["months"] = 2
    refused("answer", body["receipt"], log.jwks, answer=data)
