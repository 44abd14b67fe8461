"""``xinyi-sdk``: make a key pair, verify a receipt. Needs no network and no account."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._keys import generate_jwks
from ._version import __version__
from .errors import ReceiptInvalid
from .receipts import VerifiedReceipt, verify_receipt


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 is success, 1 a receipt that proves nothing, 2 a wrong command or an unreadable file."""
    parser = argparse.ArgumentParser(prog="xinyi-sdk", description=__doc__)
    parser.add_argument("--version", action="version", version=f"xinyi-sdk {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    verify = commands.add_parser("verify", help="verify a receipt offline")
    verify.add_argument("receipt", metavar="FILE", help="the receipt, - for standard input")
    verify.add_argument("--jwks", required=True, metavar="FILE", help="the log's key set (GET /v1/ledger/jwks)")
    verify.add_argument("--answer", metavar="FILE", help="the answer's JSON, to verify that this was answered")
    verify.add_argument("--reference", metavar="TEXT", help="your case number, to verify that the check belongs to it")
    verify.add_argument("--issuer", metavar="URL", help="the platform that must have signed")
    verify.add_argument("--json", action="store_true", help="print what was verified as JSON")
    verify.set_defaults(run=_verify)

    keygen = commands.add_parser("keygen", help="make a private key and the JWKS to give to the operator")
    keygen.add_argument("--out", required=True, metavar="DIR", type=Path, help="where to write; nothing is overwritten")
    keygen.set_defaults(run=_keygen)

    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except (OSError, ValueError) as error:
        print(f"xinyi-sdk: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return code


def _verify(options: argparse.Namespace) -> int:
    receipt = _text(options.receipt).strip()
    jwks = _json(options.jwks)
    answer = _json(options.answer) if options.answer else None
    try:
        verified = verify_receipt(receipt, jwks, answer=answer, reference=options.reference, issuer=options.issuer)
    except ReceiptInvalid as error:
        print(f"not verified: {error}", file=sys.stderr)  # noqa: T201
        return 1
    sys.stdout.write(_as_json(verified) if options.json else _as_text(verified, answer is not None, options.reference))
    return 0


def _as_json(verified: VerifiedReceipt) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(verified)).decode() + "\n"


def _as_text(verified: VerifiedReceipt, with_answer: bool, reference: str | None) -> str:
    lines = [
        ("verified", "the entry is in the log, and the platform signed for it"),
        ("check", verified.id),
        ("scenario", f"{verified.scenario_id} version {verified.scenario_version}"),
        ("consent", verified.consent_id),
        ("outcome", verified.outcome),
        *(("", f"{name}: {outcome}") for name, outcome in verified.criteria.items()),
        ("as of", verified.as_of.isoformat()),
        ("valid until", verified.valid_until.isoformat()),
        ("signed", f"{verified.signed_at.isoformat()} by {verified.issuer}, key {verified.kid}"),
        ("log", f"{verified.log_id}, entry {verified.leaf_index} of {verified.tree_size}"),
        ("answer", "is the one recorded" if with_answer else "not compared (--answer)"),
        ("reference", "is the one recorded" if reference is not None else "not compared (--reference)"),
    ]
    return "".join(f"{name:<12} {value}\n" for name, value in lines)


def _keygen(options: argparse.Namespace) -> int:
    directory: Path = options.out
    private, public = directory / "private-key.pem", directory / "jwks.json"
    directory.mkdir(parents=True, exist_ok=True)
    key, jwks = generate_jwks()
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_pem())
    with public.open("x", encoding="utf-8") as text:
        text.write(json.dumps(jwks, indent=2) + "\n")
    sys.stdout.write(f"{private}  keep it secret: it is who you are\n{public}  give it to the operator\n")
    return 0


def _text(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def _json(name: str) -> dict[str, Any]:
    value = json.loads(_text(name))
    if not isinstance(value, dict):
        raise ValueError(f"{name} isn't a JSON object")
    return value


if __name__ == "__main__":
    sys.exit(main())
