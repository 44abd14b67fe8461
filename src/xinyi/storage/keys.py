"""Signing keys and versioned secrets. ``storage.key_files`` reads them from files, and makes those."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Final, NewType

from joserfc.jwk import ECKey
from msgspec import Struct

from ..kernel.clock import Clock

ALGORITHM: Final = "ES256"
"""What this server signs with."""

Version = NewType("Version", str)
"""Names one version of a secret: ``v1``, ``v2``, …"""


class SigningKey:
    """One key and since when it signs. The private half of a ledger's old key may be gone."""

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        self.key = ECKey.import_key(dict(jwk))
        self.kid: str = self.key.thumbprint()
        self.not_before: int = jwk["xinyi_not_before"]

    def public_jwk(self) -> dict[str, Any]:
        """The public half, as it is published."""
        return {
            **self.key.as_dict(private=False),
            "kid": self.kid,
            "use": "sig",
            "alg": ALGORITHM,
            "xinyi_not_before": self.not_before,
        }

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


class KeyState(StrEnum):
    """What a key does at a moment."""

    PUBLISHED = "published"
    """It is in the JWK Set, so that everybody knows it before it signs."""
    SIGNING = "signing"
    VERIFYING = "verifying"
    """What it signed is still taken."""
    RETIRED = "retired"
    """What it signed is over, and it isn't published any more."""


class KeyRing:
    """The signing keys of one use, oldest first, each of which signs until the next one begins.

    ``kept``: how long what a key has signed lives; ``None``: for ever, and its public half stays published. ``changed``
    gives the keys anew when they were changed elsewhere, so that nothing need be started again.
    """

    def __init__(
        self,
        keys: Sequence[SigningKey],
        clock: Clock,
        *,
        kept: timedelta | None = None,
        changed: Callable[[], Sequence[SigningKey] | None] = lambda: None,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._kept = kept
        self._changed = changed

    @property
    def keys(self) -> Sequence[SigningKey]:
        """All of them: the same object as long as none was changed."""
        self._keys = self._changed() or self._keys
        return self._keys

    @property
    def signing(self) -> SigningKey:
        return self.signing_at(self._clock.now())

    def signing_at(self, at: datetime) -> SigningKey:
        """The key that signs what is dated so."""
        keys = [key for key in self.keys if key.key.is_private]
        return next((key for key in reversed(keys) if key.not_before <= at.timestamp()), keys[0])

    @property
    def kids(self) -> frozenset[str]:
        return frozenset(key.kid for key in self.keys)

    def find(self, kid: str) -> SigningKey | None:
        """The key with this id, if the ring has it and what it signed may still be in use."""
        at = self._clock.now()
        return next((key for key, state in self.states(at) if key.kid == kid and state is not KeyState.RETIRED), None)

    def states(self, at: datetime) -> list[tuple[SigningKey, KeyState]]:
        """Each key and what it does at that moment."""
        keys = self.keys
        ends = [key.not_before for key in keys[1:]]
        return [(key, self._state(key.not_before, end, at.timestamp())) for key, end in zip_longest(keys, ends)]

    def _state(self, begins: int, ends: int | None, at: float) -> KeyState:
        if ends is not None and ends <= at:
            over = self._kept is not None and ends + self._kept.total_seconds() <= at
            return KeyState.RETIRED if over else KeyState.VERIFYING
        return KeyState.SIGNING if begins <= at else KeyState.PUBLISHED

    def public_jwks(self) -> dict[str, Any]:
        """A JWK Set (RFC 7517 §5) of the public halves that are in use, each with the time in which it signs."""
        states = self.states(self._clock.now())
        ends = [{"xinyi_not_after": key.not_before} for key, _ in states[1:]]
        return {
            "keys": [
                {**key.public_jwk(), **(end or {})}
                for (key, state), end in zip_longest(states, ends)
                if state is not KeyState.RETIRED
            ]
        }


class Secret(Struct, frozen=True):
    """A versioned secret: the newest version is used for what is new, the older ones for what they made."""

    current: Version
    versions: dict[Version, bytes]

    @property
    def key(self) -> bytes:
        return self.versions[self.current]

    def __repr__(self) -> str:
        return f"Secret(current={self.current!r})"


class Keys(Struct, frozen=True):
    """All keys of one installation."""

    token: KeyRing
    ledger: KeyRing
    subject_hash: Secret
    subject_seal: Secret
    pairwise: Secret
    opaque: Secret
