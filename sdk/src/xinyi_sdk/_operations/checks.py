"""Checks, and the receipts that come with their answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from .._engine import Engine
from .._flow import Flow, Page, Response
from .._problems import read
from ..models.checks import Answer, CheckSummary, Criterion, Feedback
from ..models.common import ScenarioVersion
from ..receipts import Receipt
from .common import Data, Items, page_of, segment
from .ledger import learn_keys


class AnswerData(Struct, frozen=True, kw_only=True):
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
    data: AnswerData
    receipt: str


class _ReceiptBody(Struct, frozen=True):
    receipt: str


def create_check(
    engine: Engine, scenario: str, consent_id: str, reference: str, idempotency_key: str | None
) -> Flow[Answer]:
    body = {"scenario": scenario, "consent_id": consent_id, "reference": reference}
    response = yield from engine.call(
        "POST", "/v1/checks", body=body, idempotency_key=idempotency_key, consent_id=consent_id
    )
    return (yield from _answer(engine, response))


def get_check(engine: Engine, check_id: str) -> Flow[Answer]:
    response = yield from engine.call("GET", f"/v1/checks/{segment(check_id)}")
    return (yield from _answer(engine, response))


def get_receipt(engine: Engine, check_id: str) -> Flow[Receipt]:
    response = yield from engine.call("GET", f"/v1/checks/{segment(check_id)}/receipt")
    text = read(response, _ReceiptBody).receipt
    yield from learn_keys(engine, text)
    return Receipt(text, keys=engine.ledger_keys)


def list_checks(
    engine: Engine,
    filters: Mapping[str, str | None],
    since: datetime | None,
    until: datetime | None,
    cursor: str | None,
) -> Flow[Page[CheckSummary]]:
    times = {name: _moment(name, at) for name, at in (("since", since), ("until", until))}
    return page_of(engine, "/v1/checks", Items[CheckSummary], cursor, {**filters, **times})


def give_feedback(engine: Engine, check_id: str, result: str, benefit_band: str | None) -> Flow[Feedback]:
    body = {"result": result} | ({} if benefit_band is None else {"benefit_band": benefit_band})
    response = yield from engine.call("POST", f"/v1/checks/{segment(check_id)}/feedback", body=body)
    return read(response, Data[Feedback]).data


def get_feedback(engine: Engine, check_id: str) -> Flow[Feedback]:
    return read((yield from engine.call("GET", f"/v1/checks/{segment(check_id)}/feedback")), Data[Feedback]).data


def _moment(name: str, at: datetime | None) -> str | None:
    if at is not None and at.tzinfo is None:
        raise ValueError(f"{name} needs a time zone")
    return None if at is None else at.isoformat()


def _answer(engine: Engine, response: Response) -> Flow[Answer]:
    body = read(response, _AnswerBody)
    return (yield from told(engine, body.data, body.receipt))


def told(engine: Engine, data: AnswerData, receipt: str) -> Flow[Answer]:
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
    yield from learn_keys(engine, receipt)
    return msgspec.structs.replace(bare, receipt=Receipt(receipt, answer=bare, keys=engine.ledger_keys))
