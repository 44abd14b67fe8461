"""A platform for ``benchmarks.sdk`` that answers at once: with the check and the keys that standard input brings."""

import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

_TOKEN: Final = {"access_token": "t" * 700, "token_type": "DPoP", "expires_in": 3600}

_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


async def _main(check: bytes, jwks: bytes) -> None:
    server = await asyncio.start_server(
        partial(_connection, {"/v1/checks": check, "/v1/ledger/jwks": jwks}), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)  # noqa: T201
    await server.serve_forever()


async def _connection(fixed: Mapping[str, bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        await reader.readexactly(int(headers.get("content-length", 0)))
        body = _body(lines[0].split()[1], f"http://{headers['host']}", fixed)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )


def _body(path: str, issuer: str, fixed: Mapping[str, bytes]) -> bytes:
    if path in fixed:
        return fixed[path]
    if path == "/oauth2/token":
        return msgspec.json.encode(_TOKEN)
    return msgspec.json.encode(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth2/authorize",
            "token_endpoint": f"{issuer}/oauth2/token",
            "pushed_authorization_request_endpoint": f"{issuer}/oauth2/par",
        }
    )


if __name__ == "__main__":
    asyncio.run(_main(*sys.stdin.buffer.read().split(b"\n")))
