"""What the product is held against: an empty handler, the same with one signature check, and a bare socket.

``python -m benchmarks.yardsticks NAME --port PORT`` serves one of them as ``xinyi serve`` serves the product.
"""

import asyncio
import hashlib
import sys
from typing import Final, cast

import uvicorn
import uvloop
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from litestar import Litestar, post
from msgspec import Struct

_ES256: Final = ec.ECDSA(hashes.SHA256())


class Word(Struct):
    """A small body."""

    outcome: str


def empty() -> Litestar:
    """Nothing but the framework: it doesn't even read the body."""

    @post("/v1/checks", status_code=200)
    async def check() -> Word:
        return Word("met")

    return Litestar([check], openapi_config=None, logging_config=None)


def floor() -> Litestar:
    """The same, and the one P-256 verification that no request with a DPoP proof can do without."""
    message = hashlib.sha256(b"proof").digest() * 16
    private = ec.generate_private_key(ec.SECP256R1())
    signature, key = private.sign(message, _ES256), private.public_key()

    @post("/v1/checks", status_code=200)
    async def check() -> Word:
        key.verify(signature, message, _ES256)
        return Word("met")

    return Litestar([check], openapi_config=None, logging_config=None)


class _Echo(asyncio.Protocol):
    """Answers whatever comes with the same bytes: the fastest server that the generator can meet."""

    ANSWER: Final = b'HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{"outcome":"met"}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self.ANSWER)


async def _echo(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def serve(app: Litestar, port: int) -> None:
    """Serves until it is told to stop, with the settings of ``xinyi serve``."""
    config = uvicorn.Config(
        app, port=port, backlog=2048, lifespan="on", log_config=None, access_log=False, server_header=False, ws="none"
    )
    uvicorn.Server(config).run()


def main() -> None:
    """``NAME --port PORT``"""
    name, _, port = sys.argv[1:]
    if name == "socket":
        uvloop.run(_echo(int(port)))
    else:
        serve({"empty": empty, "floor": floor}[name](), int(port))


if __name__ == "__main__":
    main()
