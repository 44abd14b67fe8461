"""Requests as bytes: whole HTTP/1.1 messages, made before the clock runs."""

import http.client
import itertools
import random
import secrets
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

import msgspec

from .installation import ISSUER, Installation
from .population import SCENARIO
from .signing import Member

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM: Final = "application/x-www-form-urlencoded"


def checks(installation: Installation, port: int, count: int) -> list[bytes]:
    """Checks of consents drawn at random, by all members in turn, each with a proof and an idempotency key of its own.

    The tokens come from the server at ``port``.
    """
    chance = random.Random(secrets.randbits(64))  # noqa: S311 (a choice of consents, not a secret)
    senders = [
        (member, access_token(member, port), consents)
        for member, consents in zip(installation.members, installation.consents, strict=True)
    ]
    made = []
    for member, token, consents in itertools.islice(itertools.cycle(senders), count):
        body = {"scenario": SCENARIO, "consent_id": chance.choice(consents), "reference": "CASE-2026-000123"}
        headers = {
            "authorization": f"DPoP {token}",
            "dpop": member.proof(f"{ISSUER}/v1/checks", token),
            "idempotency-key": secrets.token_hex(16),
            "content-type": "application/json",
        }
        made.append(_post("/v1/checks", headers, msgspec.json.encode(body)))
    return made


def tokens(installation: Installation, count: int) -> list[bytes]:
    """Requests for a token: an assertion and a proof each."""
    members = itertools.islice(itertools.cycle(installation.members), count)
    return [_post("/oauth2/token", *_token_request(member)) for member in members]


def introspections(installation: Installation, port: int, count: int) -> list[bytes]:
    """Questions about one's own token (RFC 7662), an assertion each. The tokens come from the server at ``port``."""
    senders = [(member, access_token(member, port)) for member in installation.members]
    made = []
    for member, token in itertools.islice(itertools.cycle(senders), count):
        form = urlencode({**_authentication(member), "token": token}).encode()
        made.append(_post("/oauth2/introspect", {"content-type": _FORM}, form))
    return made


def access_token(member: Member, port: int) -> str:
    """A token for what the member itself may do, from the server at ``port``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers, body = _token_request(member)
    connection.request("POST", "/oauth2/token", body, headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status != http.client.OK:
        raise RuntimeError(f"no token: {answer.decode()}")
    token: str = msgspec.json.decode(answer)["access_token"]
    return token


def _token_request(member: Member) -> tuple[dict[str, str], bytes]:
    form = {"grant_type": "client_credentials", **_authentication(member)}
    headers = {"content-type": _FORM, "dpop": member.proof(f"{ISSUER}/oauth2/token")}
    return headers, urlencode(form).encode()


def _authentication(member: Member) -> dict[str, str]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": member.assertion(ISSUER)}


def _post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    return "\r\n".join(_lines(path, headers, len(body))).encode() + body


def _lines(path: str, headers: dict[str, str], length: int) -> Iterator[str]:
    yield f"POST {path} HTTP/1.1"
    yield "host: 127.0.0.1"
    for name, value in headers.items():
        yield f"{name}: {value}"
    yield f"content-length: {length}"
    yield "\r\n"
