"""Identifiers at rest: a keyed hash finds the subject, AES-GCM holds the value, another hash names it to a partner.

The keys are versioned secrets outside the database (``storage.keys``).
"""

import hmac
import secrets
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..kernel.canonical import b64url
from ..storage.keys import Keys, Secret, Version
from .model import Identifier, SubjectKind

_NONCE: Final = 12  # bytes: NIST SP 800-38D §8.2.2, random
_PAIRWISE: Final = 24  # bytes of the HMAC that are shown: 32 characters


class Pseudonyms:
    """What the keys make of identifiers and subject ids."""

    def __init__(self, keys: Keys) -> None:
        self._hash = keys.subject_hash
        self._seal = keys.subject_seal
        self._aead = {version: AESGCM(key) for version, key in keys.subject_seal.versions.items()}
        self._pairwise = _oldest(keys.pairwise)

    def key_of(self, identifier: Identifier) -> str:
        """The lookup key under the current version: ``v1:<64 hex digits>`` (HMAC-SHA-256)."""
        return _keyed(self._hash.current, self._hash.key, identifier)

    def keys_of(self, identifier: Identifier) -> tuple[str, ...]:
        """The lookup keys under every version, the current one first."""
        older = (version for version in self._hash.versions if version != self._hash.current)
        return (self.key_of(identifier), *(_keyed(v, self._hash.versions[v], identifier) for v in older))

    def seal(self, subject_id: str, identifier: Identifier) -> tuple[Version, bytes]:
        """The identifier sealed for this subject's row: nonce and AES-256-GCM ciphertext, and the key's version."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._aead[self._seal.current].encrypt(
            nonce, identifier.value.encode(), _bound_to(subject_id, identifier.kind)
        )
        return self._seal.current, nonce + sealed

    def unseal(self, subject_id: str, kind: SubjectKind, version: Version, sealed: bytes) -> Identifier:
        """The identifier of a row. Raises ``cryptography.exceptions.InvalidTag`` when the row was tampered with."""
        value = self._aead[version].decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound_to(subject_id, kind))
        return Identifier(kind, value.decode())

    def seal_email(self, subject_id: str, address: str) -> tuple[Version, bytes]:
        """An e-mail address sealed for this subject's row, as :meth:`seal`."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._aead[self._seal.current].encrypt(nonce, address.encode(), f"{subject_id}:email".encode())
        return self._seal.current, nonce + sealed

    def unseal_email(self, subject_id: str, version: Version, sealed: bytes) -> str:
        """The address of a row. Raises as :meth:`unseal`."""
        bound = f"{subject_id}:email".encode()
        return self._aead[version].decrypt(sealed[:_NONCE], sealed[_NONCE:], bound).decode()

    def pairwise(self, subject_id: str, partner_id: str) -> str:
        """The id by which this partner, and no other, knows the subject: ``psn_`` and 32 characters.

        It must stay the same for as long as the partner keeps receipts, so it is made with the oldest version.
        """
        message = f"{partner_id}\0{subject_id}".encode()
        return "psn_" + b64url(hmac.digest(self._pairwise, message, "sha256")[:_PAIRWISE])

    def mark(self, subject_id: str, said: bytes) -> str:
        """Stands for something that is said of this subject: known again and not to be read, 32 characters.

        It must stay the same for as long as the subject wants it kept, so it is made as :meth:`pairwise` is, whose
        messages begin with the id of a partner or a subject.
        """
        message = b"said of\0" + subject_id.encode() + b"\0" + said
        return b64url(hmac.digest(self._pairwise, message, "sha256")[:_PAIRWISE])


def _keyed(version: Version, key: bytes, identifier: Identifier) -> str:
    message = f"{identifier.kind.value}:{identifier.value}".encode()
    return f"{version}:{hmac.digest(key, message, 'sha256').hex()}"


def _bound_to(subject_id: str, kind: SubjectKind) -> bytes:
    return f"{subject_id}:{kind.value}".encode()


def _oldest(secret: Secret) -> bytes:
    return secret.versions[min(secret.versions, key=lambda version: int(version.removeprefix("v")))]
