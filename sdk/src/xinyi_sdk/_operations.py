"""What the resources do, one flow per operation. The clients only run them."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from ._encoding import Secrets
from ._engine import Engine, Upload, random_text
from ._flow import Flow, Response, alone, pause
from ._keys import SigningKey, proof_key, s256
from ._problems import read
from ._retry import utc
from .errors import (
    CallbackInvalid,
    ConsentFailed,
    ConsentRefused,
    ConsentUnread,
    InvalidResponse,
    XinyiError,
    error_class,
)
from .models import (
    Answer,
    Batch,
    BatchItem,
    Consent,
    ConsentRequest,
    Criterion,
    Question,
    RecordBatch,
    RecordError,
    Scenario,
    ScenarioSummary,
    ScenarioVersion,
    Subject,
)
from .receipts import Receipt

DETAIL_TYPE: Final = "credit_scenario_check"
KEYS_AGAIN_AFTER: Final = 60.0
"""Seconds after which the log's keys are fetched again for the sake of a receipt."""


class _ScenarioBody(Struct, frozen=True):
    data: Scenario


class _ScenariosBody(Struct, frozen=True):
    data: tuple[ScenarioSummary, ...]


class _AnswerData(Struct, frozen=True, kw_only=True):
    id: str
    scenario: ScenarioVersion
    subject: str
    outcome: str
    criteria: tuple[Criterion, ...] = ()
    disclosed: dict[str, dict[str, Any]] = {}
    as_of: datetime
    valid_until: datetime
    consent_expires_at: datetime | None = None
    salts: dict[str, dict[str, str]] = {}


class _AnswerBody(Struct, frozen=True):
    data: _AnswerData
    receipt: str


class _ReceiptBody(Struct, frozen=True):
    receipt: str


class _ConsentBody(Struct, frozen=True):
    data: Consent


class _Pushed(Struct, frozen=True):
    request_uri: str
    expires_in: int


class _BatchBody(Struct, frozen=True):
    data: Batch


class _ItemData(Struct, frozen=True, kw_only=True):
    number: int
    consent_id: str
    reference: str
    data: _AnswerData | None = None
    receipt: str = ""
    problem: dict[str, Any] | None = None


class _PageMeta(Struct, frozen=True):
    next_cursor: str | None


class _PageBody(Struct, frozen=True):
    data: tuple[_ItemData, ...]
    meta: _PageMeta


class _RecordBatchBody(Struct, frozen=True):
    data: RecordBatch


class _RecordErrorsMeta(Struct, frozen=True):
    next_cursor: str | None


class _RecordErrorsBody(Struct, frozen=True):
    data: tuple[RecordError, ...]
    meta: _RecordErrorsMeta


class RecordErrors(Struct, frozen=True):
    """The next rejected rows of an upload, and the cursor behind them when there are more."""

    errors: tuple[RecordError, ...]
    next: str | None


class Page(Struct, frozen=True):
    """The next items of a batch that are done; ``last`` when no more will come."""

    items: tuple[BatchItem, ...]
    last: bool


# Scenarios


def list_scenarios(engine: Engine) -> Flow[tuple[ScenarioSummary, ...]]:
    response = yield from engine.call("GET", "/v1/scenarios", public=True)
    return read(response, _ScenariosBody).data


def get_scenario(engine: Engine, scenario_id: str, version: int | None) -> Flow[Scenario]:
    path = f"/v1/scenarios/{_segment(scenario_id)}" + (f"/versions/{version:d}" if version is not None else "")
    response = yield from engine.call("GET", path, public=True)
    return read(response, _ScenarioBody).data


# Checks


def create_check(
    engine: Engine, scenario: str, consent_id: str, reference: str, idempotency_key: str | None
) -> Flow[Answer]:
    body = {"scenario": scenario, "consent_id": consent_id, "reference": reference}
    response = yield from engine.call(
        "POST", "/v1/checks", body=body, idempotency_key=idempotency_key, consent_id=consent_id
    )
    return (yield from _answer(engine, response))


def get_check(engine: Engine, check_id: str) -> Flow[Answer]:
    response = yield from engine.call("GET", f"/v1/checks/{_segment(check_id)}")
    return (yield from _answer(engine, response))


def get_receipt(engine: Engine, check_id: str) -> Flow[Receipt]:
    response = yield from engine.call("GET", f"/v1/checks/{_segment(check_id)}/receipt")
    text = read(response, _ReceiptBody).receipt
    yield from _learn_keys(engine, text)
    return Receipt(text, keys=engine.ledger_keys)


def _answer(engine: Engine, response: Response) -> Flow[Answer]:
    body = read(response, _AnswerBody)
    return (yield from _told(engine, body.data, body.receipt))


def _told(engine: Engine, data: _AnswerData, receipt: str) -> Flow[Answer]:
    bare = Answer(
        id=data.id,
        scenario=data.scenario,
        subject=data.subject,
        outcome=data.outcome,
        criteria={criterion.id: criterion for criterion in data.criteria},
        disclosed=data.disclosed,
        as_of=data.as_of,
        valid_until=data.valid_until,
        consent_expires_at=data.consent_expires_at,
        salts=data.salts,
        receipt=Receipt(receipt),
    )
    yield from _learn_keys(engine, receipt)
    return msgspec.structs.replace(bare, receipt=Receipt(receipt, answer=bare, keys=engine.ledger_keys))


def _learn_keys(engine: Engine, receipt: str) -> Flow[None]:
    """Fetches the log's keys when the receipt needs one not seen before, so that it can be verified offline later.

    The answer is there already: failing to fetch keys must not lose it, nor keep many answers waiting.
    """
    if not engine.ledger_keys.hold(receipt):
        yield from alone("ledger", _fetch_missing_keys(engine, receipt))


def _fetch_missing_keys(engine: Engine, receipt: str) -> Flow[None]:
    keys, now = engine.ledger_keys, engine.sources.monotonic()
    if keys.hold(receipt) or (keys.asked_at is not None and now < keys.asked_at + KEYS_AGAIN_AFTER):
        return
    keys.asked_at = now
    try:
        yield from _fetch_jwks(engine, keys.jwks, once=True)
    except XinyiError:
        return


# Batches

BATCHES: Final = "/v1/check-batches"
PAGE: Final = 250
"""Items of one request: with their receipts about half a megabyte."""
LOOK_AGAIN: Final = (0.5, 5.0)
"""Seconds between looks at a batch that runs: at first, and in the end."""
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
}

RECORD_BATCHES: Final = "/v1/record-batches"
RECORD_MEDIA_TYPES: Final = {name: MEDIA_TYPES[name] for name in (".csv", ".jsonl", ".ndjson")}


def submit_batch(
    engine: Engine, items: Iterable[Question] | None, file: str | Path | None, idempotency_key: str | None
) -> Flow[Batch]:
    response = yield from engine.call("POST", BATCHES, upload=_upload(items, file), idempotency_key=idempotency_key)
    return read(response, _BatchBody).data


def _upload(items: Iterable[Question] | None, file: str | Path | None) -> Upload:
    if (items is None) == (file is None):
        raise ValueError("give either items or a file")
    if items is not None:
        return Upload(b"".join(msgspec.json.encode(item) + b"\n" for item in items), MEDIA_TYPES[".ndjson"])
    path = Path(str(file))
    if path.suffix not in MEDIA_TYPES:
        raise ValueError(f"{path}: its name must end with {', '.join(MEDIA_TYPES)}")
    return Upload(path.read_bytes(), MEDIA_TYPES[path.suffix])


def send_records(engine: Engine, file: str | Path, idempotency_key: str | None) -> Flow[RecordBatch]:
    path = Path(file)
    if path.suffix not in RECORD_MEDIA_TYPES:
        raise ValueError(f"{path}: its name must end with {', '.join(RECORD_MEDIA_TYPES)}")
    upload = Upload(path.read_bytes(), RECORD_MEDIA_TYPES[path.suffix])
    response = yield from engine.call("POST", RECORD_BATCHES, upload=upload, idempotency_key=idempotency_key)
    return read(response, _RecordBatchBody).data


def record_errors(engine: Engine, batch_id: str, after: str) -> Flow[RecordErrors]:
    query = {"limit": str(PAGE), "cursor": after}
    response = yield from engine.call("GET", f"{RECORD_BATCHES}/{_segment(batch_id)}/errors", query=query)
    body = read(response, _RecordErrorsBody)
    return RecordErrors(body.data, next=body.meta.next_cursor)


def get_batch(engine: Engine, batch_id: str) -> Flow[Batch]:
    response = yield from engine.call("GET", f"{BATCHES}/{_segment(batch_id)}")
    return read(response, _BatchBody).data


def wait_for_batch(engine: Engine, batch_id: str, progress: Callable[[Batch], object] | None) -> Flow[Batch]:
    seconds, longest = LOOK_AGAIN
    while True:
        batch = yield from get_batch(engine, batch_id)
        if progress is not None:
            progress(batch)
        if batch.finished:
            return batch
        yield from pause(seconds)
        seconds = min(seconds * 1.5, longest)


def batch_items(engine: Engine, batch_id: str, after: int) -> Flow[Page]:
    query = {"limit": str(PAGE), "cursor": str(after)}
    response = yield from engine.call("GET", f"{BATCHES}/{_segment(batch_id)}/items", query=query)
    body = read(response, _PageBody)
    items: list[BatchItem] = []
    for each in body.data:
        item = yield from _item(engine, each)
        items.append(item)
    return Page(tuple(items), last=body.meta.next_cursor is None)


def following_items(engine: Engine, batch_id: str, after: int) -> Flow[Page]:
    """As :func:`batch_items`, once there are some more."""
    seconds, longest = LOOK_AGAIN
    while True:
        page = yield from batch_items(engine, batch_id, after)
        if page.items or page.last:
            return page
        yield from pause(seconds)
        seconds = min(seconds * 1.5, longest)


def _item(engine: Engine, each: _ItemData) -> Flow[BatchItem]:
    bare = BatchItem(number=each.number, consent_id=each.consent_id, reference=each.reference)
    if each.data is not None:
        answer = yield from _told(engine, each.data, each.receipt)
        return msgspec.structs.replace(bare, answer=answer)
    problem = each.problem or {}
    code, status = problem.get("code"), problem.get("status")
    status = status if isinstance(status, int) else 0
    kind = error_class(code if isinstance(code, str) else None, status, problem.get("source"))
    return msgspec.structs.replace(bare, error=kind(problem, status))


# The ledger


def ledger_jwks(engine: Engine, refresh: bool) -> Flow[dict[str, Any]]:
    known = engine.ledger_keys.jwks
    if known is not None and not refresh:
        return dict(known)
    return (yield from alone("ledger", _fetch_jwks(engine, known)))


def _fetch_jwks(engine: Engine, known: Mapping[str, Any] | None, *, once: bool = False) -> Flow[dict[str, Any]]:
    if engine.ledger_keys.jwks is not known and engine.ledger_keys.jwks is not None:
        return dict(engine.ledger_keys.jwks)  # another caller was faster
    response = yield from engine.call("GET", "/v1/ledger/jwks", public=True, once=once)
    jwks = read(response, dict[str, Any])
    if not isinstance(jwks.get("keys"), list):
        raise InvalidResponse("the ledger's JWKS has no list of keys")
    engine.ledger_keys.jwks = jwks
    return dict(jwks)


# Consents


def get_consent(engine: Engine, consent_id: str) -> Flow[Consent]:
    response = yield from engine.call("GET", f"/v1/consents/{_segment(consent_id)}", consent_id=consent_id)
    return read(response, _ConsentBody).data


def withdraw_consent(engine: Engine, consent_id: str) -> Flow[Consent]:
    response = yield from engine.call("DELETE", f"/v1/consents/{_segment(consent_id)}")
    return read(response, _ConsentBody).data


def start_consent(
    engine: Engine, scenario: str, redirect_uri: str, subject: Subject | str | None, state: str | None
) -> Flow[ConsentRequest]:
    detail: dict[str, Any] = {"type": DETAIL_TYPE, "scenario": scenario}
    if subject is not None:
        detail["subject"] = Subject(identifier=subject) if isinstance(subject, str) else subject
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


def _segment(name: str) -> str:
    """One path segment: an id that came from elsewhere can't reach another resource."""
    if not name or name in (".", ".."):
        raise ValueError("an id is needed")
    return quote(name, safe="")
