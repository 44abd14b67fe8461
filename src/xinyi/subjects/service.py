"""Finding and registering subjects. Identifiers come in, ids go out."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import new_ids
from ..storage.keys import Keys, Version
from . import identifiers, repo
from .model import Identifier, IdentifierProblem, IdentifierRefused, SubjectKind
from .repo import SubjectRow
from .sealing import Pseudonyms


class SubjectService:
    """Subjects by identifier.

    ``synthetic`` is true in the sandbox alone: made-up subjects have no place among real ones, nor real ones there.
    """

    def __init__(self, keys: Keys, clock: Clock, *, synthetic: bool) -> None:
        self._pseudonyms = Pseudonyms(keys)
        self._clock = clock
        self._synthetic = synthetic

    def validate(self, text: str, kind: SubjectKind | None = None) -> Identifier:
        """The identifier in ``text``. Raises :class:`IdentifierRefused` with the problem."""
        identifier = identifiers.parse(text, self._clock.now(), kind)
        if identifier.is_synthetic is not self._synthetic:
            raise IdentifierRefused(
                IdentifierProblem.SYNTHETIC if identifier.is_synthetic else IdentifierProblem.NOT_SYNTHETIC
            )
        return identifier

    def parse(self, text: str, kind: SubjectKind | None = None, *, source: str = "/subject") -> Identifier:
        """As :meth:`validate`, for a request's member at ``source``. Raises ``XinyiError(INVALID)``."""
        try:
            return self.validate(text, kind)
        except IdentifierRefused as refused:
            raise XinyiError(Code.INVALID, refused.problem.sentence, source=source) from None

    def key_of(self, identifier: Identifier) -> str:
        """The lookup key that new things get: ``v1:<64 hex digits>``."""
        return self._pseudonyms.key_of(identifier)

    def keys_of(self, identifier: Identifier) -> tuple[str, ...]:
        """Every key under which the identifier may be stored, so that what an older version made is still found."""
        return self._pseudonyms.keys_of(identifier)

    async def find(self, tx: AsyncConnection, identifier: Identifier) -> str | None:
        """The subject's id, if it is known."""
        found = await repo.ids_by_key(tx, self.keys_of(identifier))
        return next(iter(found.values()), None)

    async def ensure(self, tx: AsyncConnection, identifier: Identifier) -> str:
        """The subject's id; registers the subject when it isn't known."""
        return (await self.ensure_many(tx, [identifier]))[identifier]

    async def ensure_many(self, tx: AsyncConnection, wanted: Collection[Identifier]) -> dict[Identifier, str]:
        """The id of each subject; registers those that aren't known. At most three statements, whatever the number."""
        keys = {identifier: self.keys_of(identifier) for identifier in set(wanted)}
        known = await self._lookup(tx, keys)
        missing = {identifier: keys[identifier] for identifier in keys if identifier not in known}
        if missing:
            now = self._clock.now()
            ids = new_ids("sub", now, len(missing))
            rows = {
                identifier: self._row(subject_id, identifier, each[0], now)
                for subject_id, (identifier, each) in zip(ids, missing.items(), strict=True)
            }
            stored = await repo.insert_missing(tx, rows.values())
            known |= {identifier: row.id for identifier, row in rows.items() if row.identifier_key in stored}
            # Another import may have been first with the others: what the table says now is the answer.
            if others := {identifier: keys[identifier] for identifier in missing if identifier not in known}:
                known |= await self._lookup(tx, others)
        return known

    async def reveal(self, tx: AsyncConnection, subject_id: str) -> Identifier:
        """The identifier of a subject, for the subject's own eyes. Raises ``XinyiError(NOT_FOUND)``."""
        row = await repo.by_id(tx, subject_id)
        if row is None:
            raise XinyiError(Code.NOT_FOUND)
        return self._pseudonyms.unseal(row.id, SubjectKind(row.kind), Version(row.seal_version), row.identifier_sealed)

    async def is_key_of(self, tx: AsyncConnection, key: str, subject_id: str) -> bool:
        """Whether ``key`` is one of this subject's, under whatever version. Raises as :meth:`reveal`."""
        return key in self.keys_of(await self.reveal(tx, subject_id))

    async def every_key_of(self, tx: AsyncConnection, subject_id: str) -> tuple[str, ...]:
        """The keys of a subject's identifier, under every version. Raises as :meth:`reveal`."""
        return self.keys_of(await self.reveal(tx, subject_id))

    async def find_by_key(self, tx: AsyncConnection, key: str) -> str | None:
        """The id of the subject with this very key, if it is known."""
        return (await repo.ids_by_key(tx, [key])).get(key)

    async def remember_email(self, tx: AsyncConnection, subject_id: str, address: str | None) -> None:
        """Keeps, sealed, the address that the sign-in vouched for; ``None`` forgets it."""
        version, sealed = (None, None) if address is None else self._pseudonyms.seal_email(subject_id, address)
        await repo.set_email(tx, subject_id, version, sealed)

    async def email_of(self, tx: AsyncConnection, subject_id: str) -> str | None:
        """The subject's address, for mail to the subject alone."""
        row = await repo.by_id(tx, subject_id)
        if row is None or row.email_sealed is None or row.email_version is None:
            return None
        return self._pseudonyms.unseal_email(row.id, Version(row.email_version), row.email_sealed)

    def pairwise(self, subject_id: str, partner_id: str) -> str:
        """The id by which this partner alone knows the subject: ``psn_`` and 32 characters."""
        return self._pseudonyms.pairwise(subject_id, partner_id)

    def mark(self, subject_id: str, said: bytes) -> str:
        """Stands for something that is said of this subject: known again and not to be read, 32 characters."""
        return self._pseudonyms.mark(subject_id, said)

    async def take_turn(self, tx: AsyncConnection, subject_ids: Collection[str]) -> None:
        """Waits until no other transaction has its turn at one of these subjects, and has it until this one ends."""
        await repo.lock(tx, subject_ids)

    async def _lookup(self, tx: AsyncConnection, keys: dict[Identifier, tuple[str, ...]]) -> dict[Identifier, str]:
        found = await repo.ids_by_key(tx, [key for each in keys.values() for key in each])
        known = {}
        for identifier, each in keys.items():
            for key in each:
                if key in found:
                    known[identifier] = found[key]
                    break
        return known

    def _row(self, subject_id: str, identifier: Identifier, key: str, now: datetime) -> SubjectRow:
        version, sealed = self._pseudonyms.seal(subject_id, identifier)
        return SubjectRow(subject_id, identifier.kind.value, key, sealed, version, now)
