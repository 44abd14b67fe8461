"""``xinyi-sdk verify`` and ``xinyi-sdk consistency``: proofs, without network."""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ..archive import ReceiptArchive
from ..checkpoints import ConsistencyProof, verify_checkpoint, verify_consistency
from ..errors import ProofInvalid
from ..receipts import VerifiedReceipt, verify_receipt
from .common import Commands, both, json_of, object_in, text_of

KEYS: Final = "ledger-jwks.json"


def add_to(commands: Commands) -> None:
    verify = commands.add_parser("verify", help="verify a receipt, or an archive of them, offline")
    what = verify.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "receipt", nargs="?", metavar="FILE", help="the receipt, or its answer's JSON; - for standard input"
    )
    what.add_argument("--archive", metavar="DIR", help="every receipt of an archive")
    verify.add_argument(
        "--jwks",
        metavar="FILE",
        help=f"the log's key set (GET /v1/ledger/jwks); without it, the archive's, or {KEYS} beside the receipt",
    )
    verify.add_argument("--answer", metavar="FILE", help="the answer's JSON, to verify that this was answered")
    verify.add_argument("--reference", metavar="TEXT", help="your case number, to verify that the check belongs to it")
    verify.add_argument("--issuer", metavar="URL", help="the platform that must have signed")
    verify.add_argument("--json", action="store_true", help="print what was verified as JSON, one receipt a line")
    verify.set_defaults(run=_verify)

    consistency = commands.add_parser(
        "consistency", help="verify offline that the log only grew between two checkpoints"
    )
    consistency.add_argument("first", metavar="FIRST", help="the checkpoint that was kept")
    consistency.add_argument("second", metavar="SECOND", help="the later one")
    consistency.add_argument(
        "--proof", required=True, metavar="FILE", help="GET /v1/ledger/proofs/consistency of their sizes"
    )
    consistency.add_argument("--jwks", required=True, metavar="FILE", help="the log's key set")
    consistency.set_defaults(run=_consistency)


def _verify(options: argparse.Namespace) -> int:
    if options.archive is not None:
        return _verify_archive(options)
    text = text_of(options.receipt).strip()
    kept = object_in(text, options.receipt) if text.startswith("{") else {}
    receipt, answer, reference = kept.get("receipt", text), kept or None, kept.get("reference")
    if options.answer:
        answer = json_of(options.answer)
    if options.reference is not None:
        reference = options.reference
    try:
        verified = verify_receipt(
            str(receipt), _keys(options), answer=answer, reference=reference, issuer=options.issuer
        )
    except ProofInvalid as error:
        print(both("核验未通过", f"not verified: {error}"), file=sys.stderr)  # noqa: T201
        return 1
    sys.stdout.write(_as_json(verified) if options.json else _as_text(verified, answer is not None, reference))
    return 0


def _keys(options: argparse.Namespace) -> Mapping[str, Any]:
    if options.jwks:
        return json_of(options.jwks)
    beside = Path(KEYS) if options.receipt == "-" else Path(options.receipt).parent / KEYS
    if not beside.exists():
        raise ValueError(f"the log's keys are needed: --jwks FILE, or {beside}; GET /v1/ledger/jwks gives them")
    return json_of(str(beside))


def _verify_archive(options: argparse.Namespace) -> int:
    if not Path(options.archive).is_dir():
        raise ValueError(f"{options.archive} is no folder")
    outcomes: Counter[str] = Counter()
    failed = 0
    jwks = json_of(options.jwks) if options.jwks else None
    for found in ReceiptArchive(options.archive).verify(jwks=jwks, issuer=options.issuer):
        if found.verified is None:
            failed += 1
            print(both("核验未通过", f"not verified: {found.path}: {found.error}"), file=sys.stderr)  # noqa: T201
            continue
        outcomes[found.verified.outcome] += 1
        if options.json:
            sys.stdout.write(_as_json(found.verified))
    if not options.json:
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        listed = told and f" ({told})"
        count = outcomes.total()
        said = both(
            f"核验通过 {count} 份{listed}，未通过 {failed} 份",
            f"{_receipts(count)} verified{listed}, {failed} not verified",
        )
        sys.stdout.write(f"{said}\n")
    return 1 if failed else 0


def _receipts(count: int) -> str:
    return "1 receipt" if count == 1 else f"{count} receipts"


def _consistency(options: argparse.Namespace) -> int:
    jwks = json_of(options.jwks)
    body = json_of(options.proof)
    try:
        proof = msgspec.convert(body.get("data", body), ConsistencyProof)
    except msgspec.ValidationError as error:
        raise ValueError(f"{options.proof} is no consistency proof: {error}") from None
    try:
        first, second = (verify_checkpoint(_checkpoint(name), jwks) for name in (options.first, options.second))
        verify_consistency(first, second, proof)
    except ProofInvalid as error:
        print(both("核验未通过", f"not verified: {error}"), file=sys.stderr)  # noqa: T201
        return 1
    earlier, later = first.signed_at.isoformat(), second.signed_at.isoformat()
    said = both(
        f"核验通过：{second.tree_size} 条的账本（{later}）以 {first.tree_size} 条的账本（{earlier}）开头",
        f"verified: the log of {second.tree_size} entries ({later}) begins with that of {first.tree_size} ({earlier})",
    )
    sys.stdout.write(f"{said}\n")
    return 0


def _checkpoint(name: str) -> str:
    """A checkpoint's text: as it is kept, or in the platform's JSON."""
    text = text_of(name).strip()
    if not text.startswith("{"):
        return text
    body = object_in(text, name)
    return str(body.get("data", body).get("checkpoint"))


def _as_json(verified: VerifiedReceipt) -> str:
    return msgspec.json.encode(verified).decode() + "\n"


def _as_text(verified: VerifiedReceipt, with_answer: bool, reference: str | None) -> str:
    lines = [
        (
            "核验通过",
            "verified",
            both("条目在账本中，平台已签名", "the entry is in the log, and the platform signed for it"),
        ),
        ("核验编号", "check", verified.id),
        ("应用场景", "scenario", f"{verified.scenario_id} v{verified.scenario_version}"),
        ("授权", "consent", verified.consent_id),
        ("结果", "outcome", verified.outcome),
        *(("条件", "criterion", f"{name}: {outcome}") for name, outcome in verified.criteria.items()),
        ("截至", "as of", verified.as_of.isoformat()),
        ("有效至", "valid until", verified.valid_until.isoformat()),
        ("签名时间", "signed", verified.signed_at.isoformat()),
        ("签名方", "signed by", f"{verified.issuer}, {verified.kid}"),
        ("账本", "log", verified.log_id),
        ("条目", "entry", f"{verified.leaf_index + 1}/{verified.tree_size}"),
        ("答复", "answer", _compared("--answer", done=with_answer)),
        ("业务编号", "reference", _compared("--reference", done=reference is not None)),
    ]
    return "".join(f"{both(zh, en)}: {value}\n" for zh, en, value in lines)


def _compared(option: str, *, done: bool) -> str:
    if done:
        return both("与记录一致", "is the one recorded")
    return both(f"未比对（{option}）", f"not compared ({option})")
