"""Receipts: proof, without asking the platform, that a check was recorded and with which outcome.

A receipt is ``entry ~ proof ~ checkpoint``: the entry's bytes and the inclusion proof in base64url, and the signed
tree head as a compact JWS. What it proves: the entry is in the platform's append-only log, and the platform signed
for that. It doesn't prove that no other entry exists.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from ._encoding import canonical_json, digest
from ._merkle import HASH_SIZE, leaf_hash, root_from_inclusion
from .checkpoints import Checkpoint, decoded, read_checkpoint, read_json, signed_with
from .errors import ReceiptInvalid

if TYPE_CHECKING:
    from .models import Answer

__all__ = ["Receipt", "VerifiedReceipt", "verify_receipt"]

SALT_SIZE: Final = 16


class _Scenario(Struct, frozen=True):
    id: str
    version: int
    digest: str


class _Outcome(Struct, frozen=True):
    id: str
    outcome: str


class _Entry(Struct, frozen=True, kw_only=True):
    """The log's entry of a check. Members that this version doesn't know are signed like the others, and ignored."""

    kind: str
    id: str
    scenario: _Scenario
    consent_id: str
    partner_id: str
    sub_party: str | None = None
    subject: str
    reference_digest: str
    outcome: str
    criteria: tuple[_Outcome, ...]
    commitments: dict[str, dict[str, str]]
    as_of: datetime
    valid_until: datetime
    no_onward_supply: bool
    salt: str


class _Proof(Struct, frozen=True, forbid_unknown_fields=True):
    leaf_index: int
    tree_size: int
    path: tuple[str, ...]


class _AnswerBody(Struct, frozen=True, kw_only=True):
    """The part of an answer that a receipt speaks of, as the API wrote it."""

    id: str
    scenario: _Scenario
    subject: str
    outcome: str
    criteria: tuple[_Outcome, ...]
    disclosed: dict[str, dict[str, Any]] = {}
    salts: dict[str, dict[str, str]] = {}
    as_of: datetime
    valid_until: datetime


class VerifiedReceipt(Struct, frozen=True, kw_only=True):
    """What a receipt proves. ``entry`` holds every recorded member, also those this version has no name for.

    ``sub_party`` is the branch or merchant that the partner acted by, if it was one.
    """

    id: str
    scenario_id: str
    scenario_version: int
    scenario_digest: str
    consent_id: str
    partner_id: str
    sub_party: str | None = None
    subject: str
    outcome: str
    criteria: Mapping[str, str]
    as_of: datetime
    valid_until: datetime
    issuer: str
    log_id: str
    leaf_index: int
    tree_size: int
    root_hash: str
    signed_at: datetime
    kid: str
    entry: Mapping[str, Any]

    @property
    def met(self) -> bool:
        """Whether the recorded outcome is ``met``."""
        return self.outcome == "met"


class Receipt:
    """A receipt as it came with an answer. ``str(receipt)`` is the text to archive."""

    __slots__ = ("_answer", "_keys", "text")

    def __init__(self, text: str, *, answer: "Answer | None" = None, keys: "LedgerKeys | None" = None) -> None:
        self.text: str = text
        self._answer: Answer | None = answer
        self._keys: LedgerKeys | None = keys

    @property
    def jwks(self) -> Mapping[str, Any] | None:
        """The log's key set, as the client that got this receipt knows it."""
        return self._keys.jwks if self._keys is not None else None

    def verify(self, jwks: Mapping[str, Any] | None = None, *, reference: str | None = None) -> VerifiedReceipt:
        """Verifies the receipt offline, and the answer it came with against it.

        ``jwks`` is the log's published key set; without it, the set that the client has fetched before is used.
        ``reference`` is the case number of the check, to prove that it belongs to this receipt. Raises
        ``ReceiptInvalid``.
        """
        keys = self._keys
        known = jwks if jwks is not None else self.jwks
        if known is None:
            raise ReceiptInvalid("key", "no keys are known yet: pass jwks=, or call client.ledger.jwks() once")
        issuer = keys.issuer if keys is not None else None
        return verify_receipt(self.text, known, answer=self._answer, reference=reference, issuer=issuer)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Receipt({self.text[:12]}…, {len(self.text)} characters)"

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Receipt) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> "tuple[Callable[[str, Answer | None], Receipt], tuple[str, Answer | None]]":
        return _restored, (self.text, self._answer)


def _restored(text: str, answer: "Answer | None") -> Receipt:
    return Receipt(text, answer=answer)


class LedgerKeys:
    """The log's key set as last fetched by a client, and whose log it is."""

    __slots__ = ("_held", "asked_at", "issuer", "jwks")

    def __init__(self, issuer: str) -> None:
        self.issuer: str = issuer
        self.jwks: Mapping[str, Any] | None = None
        self.asked_at: float | None = None
        """When they were last fetched, or tried to be, by the way: of the monotonic clock, in seconds."""
        self._held: str | None = None
        """The header of the last checkpoint whose key is here: that of the next one is nearly always the same."""

    def hold(self, receipt: str) -> bool:
        """Whether the key that signed this receipt is among them. An unreadable receipt needs no further key."""
        try:
            checkpoint = _split(receipt)[2]
            header = checkpoint.partition(".")[0]
            if header == self._held:
                return True
            kid = signed_with(checkpoint, ReceiptInvalid)
        except ReceiptInvalid:
            return True
        held = self.jwks is not None and any(key.get("kid") == kid for key in self.jwks.get("keys", ()))
        if held:
            self._held = header
        return held


def verify_receipt(
    receipt: "str | Receipt",
    jwks: Mapping[str, Any],
    *,
    answer: "Answer | Mapping[str, Any] | None" = None,
    reference: str | None = None,
    issuer: str | None = None,
) -> VerifiedReceipt:
    """Verifies a receipt with nothing but the log's key set.

    ``answer`` is the answer it came with, or its JSON body as stored: outcome and criteria must be those recorded,
    each disclosed value must open its commitment with its salt, and none may be missing. ``reference`` must be the
    check's. ``issuer`` must be the platform's. What isn't given isn't compared. Raises ``ReceiptInvalid`` with the
    ``reason``.
    """
    entry_part, proof_part, checkpoint_part = _split(str(receipt))
    checkpoint = read_checkpoint(checkpoint_part, jwks, issuer, ReceiptInvalid)
    raw = _bytes(entry_part, "form", "entry")
    proof = read_json(_Proof, proof_part, ReceiptInvalid, "proof")
    _check_inclusion(raw, proof, checkpoint)

    entry, members = _read_entry(raw)
    if answer is not None:
        _check_answer(entry, _answer_body(answer))
    if reference is not None and digest(_salt(entry.salt, "entry") + reference.encode()) != entry.reference_digest:
        raise ReceiptInvalid("reference", "the check was made for another reference")
    return VerifiedReceipt(
        id=entry.id,
        scenario_id=entry.scenario.id,
        scenario_version=entry.scenario.version,
        scenario_digest=entry.scenario.digest,
        consent_id=entry.consent_id,
        partner_id=entry.partner_id,
        sub_party=entry.sub_party,
        subject=entry.subject,
        outcome=entry.outcome,
        criteria={criterion.id: criterion.outcome for criterion in entry.criteria},
        as_of=entry.as_of,
        valid_until=entry.valid_until,
        issuer=checkpoint.issuer,
        log_id=checkpoint.log_id,
        leaf_index=proof.leaf_index,
        tree_size=proof.tree_size,
        root_hash=checkpoint.root_hash,
        signed_at=checkpoint.signed_at,
        kid=checkpoint.kid,
        entry=members,
    )


def _split(receipt: str) -> Sequence[str]:
    parts = receipt.split("~")
    if len(parts) != 3:
        raise ReceiptInvalid("form", "a receipt has three parts: entry ~ proof ~ checkpoint")
    return parts


def _bytes(text: str, reason: str, what: str) -> bytes:
    return decoded(text, ReceiptInvalid, reason, what)


def _check_inclusion(raw: bytes, proof: _Proof, checkpoint: Checkpoint) -> None:
    if proof.tree_size != checkpoint.tree_size:
        raise ReceiptInvalid("inclusion", "the proof is for another tree than the checkpoint")
    path = [_bytes(node, "form", "proof's path") for node in proof.path]
    if any(len(node) != HASH_SIZE for node in path):
        raise ReceiptInvalid("form", "the proof's path holds something that isn't a SHA-256 hash")
    root = root_from_inclusion(leaf_hash(raw), proof.leaf_index, proof.tree_size, path)
    if root != _bytes(checkpoint.root_hash, "form", "checkpoint's root hash"):
        raise ReceiptInvalid("inclusion", "the entry isn't in the tree that was signed")


def _read_entry(raw: bytes) -> tuple[_Entry, Mapping[str, Any]]:
    try:
        members = msgspec.json.decode(raw, type=dict[str, Any])
        if canonical_json(members) != raw:  # else two readers might read it differently: a member may come twice
            raise ReceiptInvalid("entry", "the entry isn't canonical JSON")
        if members.get("kind") != "check":
            raise ReceiptInvalid("entry", "the entry isn't a check's")
        return msgspec.json.decode(raw, type=_Entry), members
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ReceiptInvalid("entry", "the entry isn't a check's that this version can read") from None


def _answer_body(answer: "Answer | Mapping[str, Any]") -> _AnswerBody:
    if isinstance(answer, Mapping):
        body = answer.get("data", answer)
        try:
            return msgspec.convert(body, _AnswerBody)
        except msgspec.ValidationError as error:
            raise ReceiptInvalid("answer", f"this isn't an answer's JSON: {error}") from None
    return _AnswerBody(
        id=answer.id,
        scenario=_Scenario(answer.scenario.id, answer.scenario.version, answer.scenario.digest),
        subject=answer.subject,
        outcome=answer.outcome,
        criteria=tuple(_Outcome(criterion.id, criterion.outcome) for criterion in answer.criteria.values()),
        disclosed={criterion: dict(fields) for criterion, fields in answer.disclosed.items()},
        salts={criterion: dict(salts) for criterion, salts in answer.salts.items()},
        as_of=answer.as_of,
        valid_until=answer.valid_until,
    )


def _check_answer(entry: _Entry, answer: _AnswerBody) -> None:
    for member in ("id", "scenario", "subject", "outcome", "criteria", "as_of", "valid_until"):
        if getattr(entry, member) != getattr(answer, member):
            raise ReceiptInvalid("answer", f"its {member} isn't the one recorded")
    committed = _pairs(entry.commitments)
    if committed != _pairs(answer.disclosed):
        raise ReceiptInvalid("answer", "its disclosed members aren't those recorded")
    if committed != _pairs(answer.salts):
        raise ReceiptInvalid("answer", "its salts aren't those of the disclosed members")
    for criterion, name in sorted(committed):
        salt = _salt(answer.salts[criterion][name], "answer")
        value = canonical_json(answer.disclosed[criterion][name])
        if hashlib.sha256(salt + value).digest() != _committed(entry.commitments[criterion][name]):
            raise ReceiptInvalid("answer", f"its {criterion}.{name} isn't the value recorded")


def _pairs(nested: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(criterion, name) for criterion, fields in nested.items() for name in fields}


def _salt(text: str, reason: str) -> bytes:
    """16 bytes exactly: with another length, bytes could move between the salt and the value it blinds."""
    salt = _bytes(text, reason, "salt")
    if len(salt) != SALT_SIZE:
        raise ReceiptInvalid(reason, "a salt has 16 bytes")
    return salt


def _committed(text: str) -> bytes:
    prefix, _, value = text.partition(":")
    if prefix != "sha-256":
        raise ReceiptInvalid("entry", "a commitment isn't a SHA-256 digest")
    return _bytes(value, "entry", "commitment")
