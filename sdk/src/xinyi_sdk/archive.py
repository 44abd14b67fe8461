"""A folder that keeps receipts for years, with all that is needed to verify them without the platform.

::

    receipts/
    ├── keys/KID.json                    each key of the log that was ever seen
    ├── checkpoints/LOG-SIZE.jws         heads of the log that were kept on purpose
    └── 2026/11/02/chk_….json            one check: its answer, receipt and reference

A file is written beside its place, flushed to disk and then linked into it: it is there whole or not at all, and
nothing that is there is ever changed. Any number of threads, processes and machines may write to one folder. Delete the
file of a check when its retention ends; nothing else refers to it.
"""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from .checkpoints import Checkpoint
from .errors import ProofInvalid, ReceiptInvalid
from .models.checks import Answer
from .receipts import VerifiedReceipt, verify_receipt

__all__ = ["ArchiveFinding", "ReceiptArchive"]


class ArchiveFinding(Struct, frozen=True, kw_only=True):
    """What verifying one file of an archive gave: what its receipt proves, or the error that says why it doesn't."""

    path: Path
    verified: VerifiedReceipt | None = None
    error: ProofInvalid | None = None


class ReceiptArchive:
    """An append-only folder of receipts. Made when it isn't there."""

    def __init__(self, folder: str | Path) -> None:
        self.folder: Path = Path(folder)
        for name in ("keys", "checkpoints"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"ReceiptArchive({str(self.folder)!r})"

    def add(self, answer: Answer, *, reference: str) -> Path:
        """Keeps an answer with its receipt and the reference it was asked under; gives its file.

        The keys that the answer's client has fetched are kept with it. Adding an answer again changes nothing. Raises
        ``ValueError`` when another answer has its id.
        """
        self.add_keys(answer.receipt.jwks or {})
        day = answer.as_of.astimezone(UTC)
        place = self.folder / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}" / f"{quote(answer.id, safe='')}.json"
        content = answer.to_json()[:-1] + f',"reference":{msgspec.json.encode(reference).decode()}}}\n'
        if not _put(place, content.encode()) and place.read_bytes() != content.encode():
            raise ValueError(f"{place} holds another answer of this id")
        return place

    def add_keys(self, jwks: Mapping[str, Any]) -> None:
        """Keeps each key of a key set that isn't kept yet: ``client.ledger.jwks()``."""
        for key in jwks.get("keys", ()):
            _put(self.folder / "keys" / f"{quote(str(key['kid']), safe='')}.json", msgspec.json.encode(key) + b"\n")

    def add_checkpoint(self, checkpoint: Checkpoint) -> Path:
        """Keeps a head of the log, to prove later that the log only grew since; gives its file."""
        name = f"{quote(checkpoint.log_id, safe='')}-{checkpoint.tree_size}.jws"
        _put(self.folder / "checkpoints" / name, checkpoint.text.encode() + b"\n")
        return self.folder / "checkpoints" / name

    def jwks(self) -> dict[str, Any]:
        """All keys that were kept, as a key set."""
        return {"keys": [_object(path) for path in sorted((self.folder / "keys").glob("*.json"))]}

    def verify(self, *, jwks: Mapping[str, Any] | None = None, issuer: str | None = None) -> Iterator[ArchiveFinding]:
        """Verifies every file offline, oldest first: receipt, answer, reference, and the check it is named after.

        ``jwks`` are the keys to trust; without them, those that are kept here, which whoever can change the receipts
        could change as well.

        Two receipts of one log that are signed for the same size must be signed for the same entries: a pair that isn't
        is reported with the later one, as an error of reason ``fork``.
        """
        known = self.jwks() if jwks is None else jwks
        heads: dict[tuple[str, int], str] = {}
        for path in sorted(self.folder.glob("[0-9]*/[0-9]*/[0-9]*/*.json")):
            try:
                yield ArchiveFinding(path=path, verified=_verified(path, known, issuer, heads))
            except ProofInvalid as error:
                yield ArchiveFinding(path=path, error=error)


def _verified(
    path: Path, jwks: Mapping[str, Any], issuer: str | None, heads: dict[tuple[str, int], str]
) -> VerifiedReceipt:
    kept = _object(path)
    receipt, reference = kept.get("receipt"), kept.get("reference")
    if not isinstance(receipt, str) or not isinstance(reference, str):
        raise ReceiptInvalid("form", "the file holds no receipt with its reference")
    verified = verify_receipt(receipt, jwks, answer=kept, reference=reference, issuer=issuer)
    if path.name != f"{quote(verified.id, safe='')}.json":
        raise ReceiptInvalid("entry", f"the receipt is of {verified.id}, not of the check that the file is named after")
    head = heads.setdefault((verified.log_id, verified.tree_size), verified.root_hash)
    if head != verified.root_hash:
        raise ReceiptInvalid("fork", f"another receipt shows another log of {verified.tree_size} entries")
    return verified


def _object(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ReceiptInvalid("form", f"{path.name} isn't a JSON object") from None


def _put(place: Path, content: bytes) -> bool:
    """Writes a file that isn't there yet, whole and to the disk; says whether it wasn't."""
    if place.exists():
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{uuid.uuid4().hex}.new")
    with beside.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        place.hardlink_to(beside)
    except FileExistsError:
        return False
    finally:
        beside.unlink()
    with suppress(OSError):  # where folders can't be flushed, the file system does without
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return True
