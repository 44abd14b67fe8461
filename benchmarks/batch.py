"""A batch of checks through the real endpoint and its worker, from the upload to the last item."""

import http.client
import secrets
import time
from typing import Any, Final

import msgspec

from .installation import ISSUER, Installation
from .population import SCENARIO
from .processes import Server
from .requests import access_token

PATH: Final = "/v1/check-batches"
ITEMS: Final = 20_000
_POLL: Final = 0.05
_WITHIN: Final = 300.0


def run(installation: Installation, server: Server, items: int = ITEMS) -> tuple[float, float]:
    """Items per second, and the processor time that each cost the server, of one batch by the first member.

    Raises ``RuntimeError`` unless every item is answered.
    """
    member, consents = installation.members[0], installation.consents[0]
    token = access_token(member, server.port)
    lines = [
        msgspec.json.encode({"scenario": SCENARIO, "consent_id": consents[i % len(consents)], "reference": f"CASE-{i}"})
        for i in range(items)
    ]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def call(method: str, path: str, body: bytes | None = None) -> Any:
        headers = {
            "authorization": f"DPoP {token}",
            "dpop": member.proof(ISSUER + path, token, method),
            "content-type": "application/x-ndjson",
            "idempotency-key": secrets.token_hex(8),
        }
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise RuntimeError(answer.decode())
        return msgspec.json.decode(answer)["data"]

    started, computed = time.perf_counter(), server.computed
    batch = call("POST", PATH, b"\n".join(lines))
    while batch["finished_at"] is None:
        if time.perf_counter() - started > _WITHIN:
            raise RuntimeError(f"the batch isn't done: {batch}")
        time.sleep(_POLL)
        batch = call("GET", f"{PATH}/{batch['id']}")
    seconds = time.perf_counter() - started
    if batch["answered"] != items:
        raise RuntimeError(f"not every item was answered: {batch}")
    return items / seconds, (server.computed - computed) / items
