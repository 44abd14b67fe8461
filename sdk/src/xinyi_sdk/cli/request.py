"""``xinyi-sdk request``: any call of the API, signed."""

import argparse
import sys
from pathlib import Path

import msgspec

from ..client import Xinyi
from ..errors import APIError
from .common import ENVIRONMENT, Commands


def add_to(commands: Commands) -> None:
    request = commands.add_parser(
        "request", help="make one call of the API, signed, and print the answer", description=ENVIRONMENT
    )
    request.add_argument("method", metavar="METHOD", help="GET, POST, DELETE, …")
    request.add_argument("path", metavar="PATH", help="such as /v1/scenarios")
    request.add_argument("--json", metavar="TEXT", help="the body; @FILE reads it from a file")
    request.add_argument("--query", metavar="NAME=VALUE", action="append", default=[], help="may be given many times")
    request.add_argument("--idempotency-key", metavar="TEXT", help="makes a POST repeatable; made for you otherwise")
    request.add_argument("--include", action="store_true", help="print the status and the headers first")
    request.set_defaults(run=_request)


def _request(options: argparse.Namespace) -> int:
    query: dict[str, list[str]] = {}
    for name, value in map(_pair, options.query):
        query.setdefault(name, []).append(value)
    with Xinyi() as client:
        try:
            response = client.request(
                options.method,
                options.path,
                json=_body(options.json),
                query=query or None,
                idempotency_key=options.idempotency_key,
            )
        except APIError as error:
            sys.stdout.write(_pretty(msgspec.json.encode(error.problem)))
            raise
    if options.include:
        sys.stdout.write(f"{response.status}\n")
        sys.stdout.writelines(f"{name}: {value}\n" for name, value in response.headers.items())
        sys.stdout.write("\n")
    sys.stdout.write(_pretty(response.body))
    return 0


def _body(text: str | None) -> object:
    if text is None:
        return None
    data = Path(text[1:]).read_bytes() if text.startswith("@") else text
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"--json isn't JSON: {error}") from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"--query must be NAME=VALUE, not {text}")
    return name, value


def _pretty(body: bytes) -> str:
    try:
        return msgspec.json.format(body, indent=2).decode() + "\n"
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")
