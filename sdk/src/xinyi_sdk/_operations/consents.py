"""Asking subjects for their consent, and what became of it."""

import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from msgspec import Struct

from .._encoding import Secrets
from .._engine import Engine, random_text
from .._flow import Flow, Page, pause
from .._keys import SigningKey, proof_key, s256
from .._problems import read
from .._retry import utc
from ..errors import CallbackInvalid, ConsentFailed, ConsentRefused, ConsentUnread, InvalidResponse, XinyiError
from ..models.consents import (
    Consent,
    ConsentCopy,
    ConsentLink,
    ConsentRequest,
    ConsentState,
    Extension,
    Reminder,
    Subject,
)
from .common import Data, Items, page_of, segment

DETAIL_TYPE: Final = "credit_scenario_check"
LOOK_AGAIN: Final = (2.0, 10.0)
"""Seconds between looks at a consent that waits for its subject: at first, and in the end."""


class _Pushed(Struct, frozen=True):
    request_uri: str
    expires_in: int


def get_consent(engine: Engine, consent_id: str) -> Flow[Consent]:
    response = yield from engine.call("GET", f"/v1/consents/{segment(consent_id)}", consent_id=consent_id)
    return read(response, Data[Consent]).data


def withdraw_consent(engine: Engine, consent_id: str) -> Flow[Consent]:
    response = yield from engine.call("DELETE", f"/v1/consents/{segment(consent_id)}")
    return read(response, Data[Consent]).data


def list_consents(engine: Engine, filters: Mapping[str, str | None], cursor: str | None) -> Flow[Page[Consent]]:
    return page_of(engine, "/v1/consents", Items[Consent], cursor, filters)


def ask(
    engine: Engine,
    scenario: str,
    subject: Subject | str,
    version: int | None,
    sub_party: str | None,
    idempotency_key: str | None,
) -> Flow[ConsentLink]:
    body: dict[str, Any] = {"scenario": scenario, "subject": _subject(subject)}
    if version is not None:
        body["version"] = version
    if sub_party is not None:
        body["sub_party"] = sub_party
    response = yield from engine.call("POST", "/v1/consents", body=body, idempotency_key=idempotency_key)
    return read(response, Data[ConsentLink]).data


def wait(engine: Engine, consent_id: str) -> Flow[Consent]:
    seconds, longest = LOOK_AGAIN
    while True:
        consent = yield from get_consent(engine, consent_id)
        if consent.state != ConsentState.AWAITING_AUTHORISATION:
            return consent
        yield from pause(seconds)
        seconds = min(seconds * 1.5, longest)


def copy(engine: Engine, consent_id: str) -> Flow[ConsentCopy]:
    response = yield from engine.call("GET", f"/v1/consents/{segment(consent_id)}/copy", consent_id=consent_id)
    return read(response, Data[ConsentCopy]).data


def extend(engine: Engine, consent_id: str, days: int | None) -> Flow[Extension]:
    body = {} if days is None else {"days": days}
    response = yield from engine.call("POST", f"/v1/consents/{segment(consent_id)}/extensions", body=body)
    return read(response, Data[Extension]).data


def extensions(engine: Engine, consent_id: str) -> Flow[tuple[Extension, ...]]:
    response = yield from engine.call("GET", f"/v1/consents/{segment(consent_id)}/extensions")
    return read(response, Data[tuple[Extension, ...]]).data


def remind(engine: Engine, consent_id: str) -> Flow[Reminder]:
    response = yield from engine.call("POST", f"/v1/consents/{segment(consent_id)}/reminders")
    return read(response, Data[Reminder]).data


def start_consent(
    engine: Engine,
    scenario: str,
    redirect_uri: str,
    subject: Subject | str | None,
    version: int | None,
    sub_party: str | None,
    state: str | None,
) -> Flow[ConsentRequest]:
    detail: dict[str, Any] = {"type": DETAIL_TYPE, "scenario": scenario}
    if version is not None:
        detail["version"] = version
    if sub_party is not None:
        detail["sub_party"] = sub_party
    if subject is not None:
        detail["subject"] = _subject(subject)
    key = SigningKey.generate()  # the request's own, so that any process of the partner can finish it
    verifier, state = random_text(), state or random_text()
    members = {
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": s256(verifier),
        "code_challenge_method": "S256",
        "dpop_jkt": key.thumbprint,
        "authorization_details": msgspec.json.encode([detail]).decode(),
    }
    pushed = read((yield from engine.push(members, key)), _Pushed)
    metadata = yield from engine.metadata()
    query = urlencode({"client_id": engine.config.client_id, "request_uri": pushed.request_uri})
    return ConsentRequest(
        url=f"{metadata.authorization_endpoint}?{query}",
        state=state,
        scenario=scenario,
        redirect_uri=redirect_uri,
        issuer=metadata.issuer,
        expires_at=utc(int(engine.now()) + pushed.expires_in),
        code_verifier=verifier,
        proof_key=key.private_jwk(),
    )


def finish_consent(engine: Engine, callback_url: str, request: ConsentRequest) -> Flow[Consent]:
    members = Secrets(
        grant_type="authorization_code",
        code=code_from(callback_url, request),
        redirect_uri=request.redirect_uri,
        code_verifier=request.code_verifier,
    )
    # never tried again: a code that comes twice is a stolen one, and the platform revokes what the first gave
    token, issued = yield from engine.grant(members, proof_key(request.proof_key), once=True)
    details = [detail for detail in issued.authorization_details if detail.get("type") == DETAIL_TYPE]
    consent_id = details[0].get("consent_id") if len(details) == 1 else None
    if not isinstance(consent_id, str):
        raise InvalidResponse("the platform issued a token that names no consent")
    engine.tokens.keep_for(consent_id, token)
    try:
        return (yield from get_consent(engine, consent_id))
    except XinyiError as error:
        raise ConsentUnread(consent_id) from error


def code_from(callback_url: str, request: ConsentRequest) -> str:
    """The authorization code of a callback that is the answer to this request. Raises what else it is."""
    pairs = parse_qsl(urlsplit(callback_url).query, keep_blank_values=True)
    members = dict(pairs)
    if len(members) != len(pairs):
        raise CallbackInvalid("a parameter comes twice")
    if not hmac.compare_digest(members.get("state", "").encode(), request.state.encode()):
        raise CallbackInvalid("state isn't the one that was sent: this callback answers another request, or none")
    if members.get("iss") != request.issuer:  # RFC 9207 §2.4, on errors too
        raise CallbackInvalid("iss isn't the platform that was asked")
    error = members.get("error")
    if error is not None:
        raise (ConsentRefused if error == "access_denied" else ConsentFailed)(error, members.get("error_description"))
    if not members.get("code"):
        raise CallbackInvalid("code is missing")
    return members["code"]


def _subject(subject: Subject | str) -> Subject:
    return Subject(identifier=subject) if isinstance(subject, str) else subject
