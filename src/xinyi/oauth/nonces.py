"""Nonces of the server for proofs (RFC 9449 §8 and §9): a proof that carries one wasn't made long ahead.

Nothing is stored: a nonce is the keyed hash of the minute that it was given in, so that every worker knows it.
"""

import hmac
from typing import Final

from ..kernel.clock import Clock
from ..storage.keys import Secret
from ..storage.opaque import keyed_hash
from .jose import JwtProblem

WINDOW: Final = 60
"""Seconds. A nonce is good in its own window and the next; a clock that is behind may meet one of the window ahead."""


class NonceNeeded(JwtProblem):
    """The proof is without a nonce of this server, or with one that is over: the answer brings a new one."""


class Nonces:
    """Gives nonces and knows them again."""

    def __init__(self, secret: Secret, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def current(self) -> str:
        """The nonce to use from now on."""
        return self._of(self._window())

    def require(self, nonce: object) -> None:
        """Raises :class:`NonceNeeded` unless ``nonce`` was given by this server a moment ago."""
        now = self._window()
        known = (self._of(window) for window in (now, now - 1, now + 1))
        if not isinstance(nonce, str) or not any(hmac.compare_digest(nonce.encode(), each.encode()) for each in known):
            raise NonceNeeded("the proof must carry the nonce that DPoP-Nonce tells")

    def _window(self) -> int:
        return int(self._clock.now().timestamp() // WINDOW)

    def _of(self, window: int) -> str:
        return keyed_hash(self._secret, "dpop-nonce", str(window))
