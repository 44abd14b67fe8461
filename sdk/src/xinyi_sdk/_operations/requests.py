"""Any call of the API."""

from collections.abc import Mapping, Sequence

from .._engine import Engine
from .._flow import Flow
from ..observe import RawResponse


def request(
    engine: Engine,
    method: str,
    path: str,
    json: object,
    query: Mapping[str, str | Sequence[str]] | None,
    idempotency_key: str | None,
) -> Flow[RawResponse]:
    if not path.startswith("/") or path.startswith("//") or "?" in path or "#" in path:
        raise ValueError("path must be one of the platform's, such as /v1/scenarios; what follows ? goes into query")
    response = yield from engine.call(method.upper(), path, body=json, query=query, idempotency_key=idempotency_key)
    return RawResponse(status=response.status, headers=response.headers, body=response.body)
