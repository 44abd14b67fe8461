"""``xinyi-sdk``: make a key pair, verify a receipt, send a batch of checks."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ._keys import generate_jwks
from ._progress import ProgressBar
from ._version import __version__
from .client import Xinyi
from .errors import APIError, ReceiptInvalid, XinyiError
from .receipts import VerifiedReceipt, verify_receipt


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    0 is success, 1 a receipt that proves nothing or a platform that doesn't do what it is asked, 2 a wrong command or
    an unreadable file, 130 an interrupted command.
    """
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

    _add_batch_commands(commands.add_parser("batch", help="many checks as one job"))

    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except XinyiError as error:
        print(f"xinyi-sdk: {error}", file=sys.stderr)  # noqa: T201
        for line in _bad_items(error):
            print(line, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError) as error:
        print(f"xinyi-sdk: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return code


def _add_batch_commands(batch: argparse.ArgumentParser) -> None:
    batch.description = (
        "Calls the platform that XINYI_SDK_BASE_URL names, as XINYI_SDK_CLIENT_ID with XINYI_SDK_PRIVATE_KEY_FILE."
    )
    commands = batch.add_subparsers(required=True, metavar="COMMAND")

    submit = commands.add_parser("submit", help="send a file of questions, and write what became of each")
    submit.add_argument("file", metavar="FILE", help="NDJSON, CSV or JSON, as the end of its name says")
    submit.add_argument("--out", required=True, metavar="FILE", help="where to write, one item a line; - is the screen")
    submit.add_argument(
        "--idempotency-key", metavar="TEXT", help="makes this command repeatable: the same key is the same batch"
    )
    submit.set_defaults(run=_submit)

    follow = commands.add_parser("follow", help="go on with a batch: write what is missing in the output")
    follow.add_argument("batch", metavar="ID", help="the batch's id")
    follow.add_argument("--out", required=True, metavar="FILE", help="where to go on writing; - is the screen")
    follow.set_defaults(run=lambda options: _follow(options.batch, options.out))


def _submit(options: argparse.Namespace) -> int:
    if options.out != "-" and Path(options.out).exists():
        raise ValueError(f"{options.out} is there already: nothing is overwritten")
    with Xinyi() as client:
        batch = client.batches.submit(file=options.file, idempotency_key=options.idempotency_key)
    go_on = f"xinyi-sdk batch follow {batch.id} --out {options.out}"
    print(f"{batch.id}: {batch.total} items. After an interruption: {go_on}", file=sys.stderr)  # noqa: T201
    return _follow(batch.id, options.out)


def _follow(batch_id: str, out: str) -> int:
    """Writes the items behind those that the output has, with a progress bar on a terminal."""
    if out == "-":
        return _write_items(batch_id, sys.stdout.buffer, 0)
    with Path(out).open("a+b") as file:
        return _write_items(batch_id, file, _last_number(file))


def _write_items(batch_id: str, file: BinaryIO, after: int) -> int:
    met = refused = 0
    with Xinyi() as client:
        bar = ProgressBar(client.batches.get(batch_id).total, sys.stderr)
        bar.show(after)
        try:
            for item in client.batches.follow(batch_id, after=after):
                file.write(item.to_json().encode() + b"\n")
                met += item.met
                refused += item.error is not None
                bar.show(item.number)
                after = item.number
        finally:
            file.flush()
            bar.close()
    print(f"{after} items done; of those written now, {met} met, {refused} refused", file=sys.stderr)  # noqa: T201
    return 0


def _last_number(file: BinaryIO) -> int:
    """The number of the last whole line; what was half written behind it is cut off."""
    file.seek(0)
    number = end = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        number, end = int(json.loads(line)["number"]), end + len(line)
    file.truncate(end)
    file.seek(0, os.SEEK_END)
    return number


def _bad_items(error: XinyiError) -> list[str]:
    """The items of an upload that the platform can't take, one a line."""
    errors = error.problem.get("errors") if isinstance(error, APIError) else None
    return [f"  {_place(each)}: {each.get('code')}" for each in (errors or []) if isinstance(each, dict)]


def _place(each: dict[str, Any]) -> str:
    place = f"line {each['line']}" if "line" in each else f"item {each.get('number')}"
    return f"{place}, {each['member']}" if "member" in each else place


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
    for path in (private, public):
        if path.exists():
            raise ValueError(f"{path} is there already, and no key is overwritten: name another folder")
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
