"""Signed checkpoints: a compact JWS (RFC 7515) over the log's size and root."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ..kernel.canonical import canonical_json, unb64url
from ..storage.keys import ALGORITHM, SigningKey
from .model import Checkpoint
from .tree import HASH_BYTES

TYPE: Final = "xinyi-checkpoint+jws"


class InvalidCheckpoint(ValueError):
    """A checkpoint that none of the known keys signed, or that isn't one. ``str()`` says what is wrong."""


def sign(checkpoint: Checkpoint, key: SigningKey) -> str:
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}
    return jws.serialize_compact(header, canonical_json(checkpoint), key.key, algorithms=[ALGORITHM])


class CheckpointKeys:
    """The public halves of a ledger's keys, as it publishes them for ever."""

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        """Takes a JWK Set (RFC 7517 §5). Raises ``ValueError`` when it holds no P-256 key."""
        try:
            keys = [ECKey.import_key(dict(jwk)) for jwk in jwks["keys"] if jwk.get("crv") == "P-256"]
        except (JoseError, KeyError, TypeError, AttributeError) as error:
            raise ValueError("not a JWK Set of the ledger's keys") from error
        if not keys:
            raise ValueError("the JWK Set holds no P-256 key")
        # The name of a key is its thumbprint, whatever the set says.
        self._keys = {key.thumbprint(): key for key in keys}

    def read(self, token: str) -> Checkpoint:
        """The checkpoint in ``token``. Raises :class:`InvalidCheckpoint` unless one of these keys signed it."""
        try:
            header = jws.extract_compact(token.encode()).headers()
            if header.get("typ") != TYPE:
                raise InvalidCheckpoint(f"its type isn't {TYPE}")
            key = self._keys.get(str(header.get("kid")))
            if key is None:
                raise InvalidCheckpoint("none of the ledger's keys signed it")
            payload = jws.deserialize_compact(token, key, algorithms=[ALGORITHM]).payload
            checkpoint = msgspec.json.decode(payload, type=Checkpoint)
            if len(unb64url(checkpoint.root_hash)) != HASH_BYTES:
                raise InvalidCheckpoint("its root hash isn't 32 bytes")
        except InvalidCheckpoint:
            raise
        except (JoseError, msgspec.DecodeError) as error:
            raise InvalidCheckpoint("its signature isn't valid") from error
        except ValueError as error:
            raise InvalidCheckpoint("it isn't a checkpoint") from error
        return checkpoint
