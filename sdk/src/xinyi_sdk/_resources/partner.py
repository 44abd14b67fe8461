"""The partner itself: its rights and its keys."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from .._operations import partner as operations
from ..models.partner import PartnerInfo, PartnerKey, Quota, SubParty, Usage
from .base import Resource


class Partner(Resource):
    """The partner itself. Needs the scope ``partner``."""

    def get(self) -> PartnerInfo:
        """The partner as it is registered, and what this client may do."""
        return self._driver.run(operations.get(self._engine))

    def quota(self) -> tuple[Quota, ...]:
        """Each limit of this client, and what is left of it."""
        return self._driver.run(operations.quota(self._engine))

    def usage(self, *, first: date | None = None, last: date | None = None, by: str | None = None) -> Usage:
        """The checks of all of the partner's clients by scenario, from the ``first`` day to the ``last``, in China.

        Without them, this month's up to now; 366 days at most. ``by`` is ``day`` or ``month``.
        """
        return self._driver.run(operations.usage(self._engine, first, last, by))

    def sub_parties(self) -> Iterator[SubParty]:
        """Your branches and merchants, the oldest first. Name one as ``sub_party`` where you ask for a consent."""
        return self._driver.iterate(lambda cursor: operations.sub_parties(self._engine, cursor))

    def keys(self) -> tuple[PartnerKey, ...]:
        """The public keys that this client may authenticate with, the oldest first."""
        return self._driver.run(operations.keys(self._engine))

    def add_key(self, public_jwk: Mapping[str, Any]) -> PartnerKey:
        """Registers a further key: the public JWK, or the ``jwks.json`` of ``xinyi-sdk keygen`` as read.

        Add the new key, wait until its ``works_from``, switch the private key of every process, then remove the old
        one: nothing stops in between.
        Raises ``InvalidRequest``, and ``ValueError`` for a private key, which isn't sent.
        """
        return self._driver.run(operations.add_key(self._engine, public_jwk))

    def remove_key(self, key_id: str) -> None:
        """Takes a key out of use, at once and for good.

        Raises ``NotFound``, or ``WrongState`` for the only one that works.
        """
        return self._driver.run(operations.remove_key(self._engine, key_id))
