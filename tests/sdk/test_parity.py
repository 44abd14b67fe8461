"""The SDK against ``openapi/xinyi.yaml``: every call a partner can make is there, every member has its place, and an
SDK that stays as it is goes on working with a platform that has learned more.
"""

import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import httpx
import msgspec
import pytest
import yaml

import xinyi_sdk
from tests.sdk.conftest import MakeClient, result
from tests.sdk.platform import ISSUER, Log, Platform
from xinyi_sdk import Checkpoint, Xinyi, models
from xinyi_sdk._operations.checks import AnswerData
from xinyi_sdk._operations.ledger import CheckpointData
from xinyi_sdk.models.batches import BatchItem

DOCUMENT: Any = yaml.safe_load((Path(__file__).resolve().parents[2] / "openapi" / "xinyi.yaml").read_text("utf-8"))
SCHEMAS: Mapping[str, Any] = DOCUMENT["components"]["schemas"]
METHODS = ("get", "post", "put", "patch", "delete")
CORRECTION = models.Correction(region="990001", observed_at="2026-10-28", fields={})


@dataclass(frozen=True)
class Call:
    """How an operation is called with the SDK."""

    name: str
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


CALLS: Mapping[str, Call] = {
    "listScenarios": Call("scenarios.list"),
    "getScenario": Call("scenarios.get", ("bike-deposit",)),
    "getScenarioVersion": Call("scenarios.get", ("bike-deposit",), {"version": 1}),
    "createDryRun": Call("scenarios.dry_run", ("bike-deposit",), {"cases": [{"id": "a", "facts": []}]}),
    "listRecordTypes": Call("metadata.record_types"),
    "listBehaviours": Call("metadata.behaviours"),
    "listErrorCodes": Call("metadata.error_codes"),
    "listOutcomes": Call("metadata.outcomes"),
    "askForConsent": Call("consents.ask", (), {"scenario": "bike-deposit", "subject": "990001199003070011"}),
    "listConsents": Call(
        "consents.list", (), {"state": "authorised", "scenario": "bike-deposit", "sub_party": "sbp_1"}
    ),
    "getConsent": Call("consents.get", ("cns_1",)),
    "giveUpConsent": Call("consents.withdraw", ("cns_1",)),
    "getConsentCopy": Call("consents.copy", ("cns_1",)),
    "askForExtension": Call("consents.extend", ("cns_1",), {"days": 90}),
    "listExtensions": Call("consents.extensions", ("cns_1",)),
    "remindOfConsent": Call("consents.remind", ("cns_1",)),
    "createCheck": Call("checks.create", (), {"scenario": "s", "consent_id": "cns_1", "reference": "R"}),
    "getCheck": Call("checks.get", ("chk_1",)),
    "getCheckReceipt": Call("checks.receipt", ("chk_1",)),
    "listChecks": Call("checks.list", (), {"since": datetime(2026, 11, 2, tzinfo=UTC), "reference": "R"}),
    "giveCheckFeedback": Call("checks.give_feedback", ("chk_1",), {"result": "granted", "benefit_band": "up_to_500"}),
    "getCheckFeedback": Call("checks.feedback", ("chk_1",)),
    "listEvents": Call("events.read", (), {"cursor": "7", "types": ["consent.withdrawn", "consent.paused"]}),
    "listEventSubscriptions": Call("event_subscriptions.list"),
    "createEventSubscription": Call("event_subscriptions.create", (), {"url": "https://bank.example/events"}),
    "getEventSubscription": Call("event_subscriptions.get", ("evs_1",)),
    "changeEventSubscription": Call("event_subscriptions.change", ("evs_1",), {"status": "disabled"}),
    "deleteEventSubscription": Call("event_subscriptions.delete", ("evs_1",)),
    "rollEventSubscriptionSecret": Call("event_subscriptions.roll_secret", ("evs_1",), {"overlap_hours": 24}),
    "testEventSubscription": Call("event_subscriptions.test", ("evs_1",)),
    "listEventDeliveries": Call("event_subscriptions.deliveries", ("evs_1",), {"state": "dead"}),
    "redeliverEvents": Call("event_subscriptions.redeliver", ("evs_1",), {"events": ["evt_1"]}),
    "createCheckBatch": Call("batches.submit", (), {"items": []}),
    "getCheckBatch": Call("batches.get", ("cbt_1",)),
    "listCheckBatchItems": Call("batches.items", ("cbt_1",)),
    "createRecordBatch": Call("records.send", (), {}),
    "getRecordBatch": Call("records.get", ("rbt_1",)),
    "listRecordBatchErrors": Call("records.errors", ("rbt_1",)),
    "listRecords": Call("records.list", (), {"source_ref": "R"}),
    "correctRecord": Call("records.correct", ("rec_1", CORRECTION)),
    "withdrawRecord": Call("records.withdraw", ("rec_1",)),
    "repairRecords": Call("records.repair", (), {"subject": "990001199003070011", "record_types": ["HONOUR"]}),
    "listDisputes": Call("disputes.list", (), {"state": "open"}),
    "answerDispute": Call("disputes.answer", ("dsp_1",), {"outcome": "upheld", "answer": "…"}),
    "getPartner": Call("partner.get"),
    "getQuota": Call("partner.quota"),
    "getUsage": Call("partner.usage", (), {"first": date(2026, 11, 1), "last": date(2026, 11, 2), "by": "day"}),
    "listSubParties": Call("partner.sub_parties"),
    "listKeys": Call("partner.keys"),
    "addKey": Call("partner.add_key", ({"kty": "EC"},)),
    "removeKey": Call("partner.remove_key", ("k",)),
    "getLedgerKeys": Call("ledger.jwks"),
    "getLatestCheckpoint": Call("ledger.checkpoint"),
    "getCheckpoint": Call("ledger.checkpoint", (), {"size": 7}),
    "proveConsistency": Call("ledger.consistency", (), {"first": 4, "second": 7}),
    "proveInclusion": Call("ledger.inclusion", (b"entry",), {"tree_size": 7}),
}
LEFT_OUT: Mapping[str, str] = {
    "getAuthorizationServerMetadata": "done by the client itself",
    "pushAuthorizationRequest": "done by consents.start",
    "getToken": "done by the client itself",
    "getAuthorizationDetailsTypes": "for whoever writes a client of their own",
    "getAuthorizationDetailsSchema": "for whoever writes a client of their own",
    "getTokenKeys": "for resource servers: a client doesn't look into its tokens",
    "getProtectedResourceMetadata": "for resource servers",
    "introspectToken": "for resource servers: nobody but the client holds its tokens",
    "revokeToken": "the client's tokens end by themselves within minutes, and with the consent",
}
NOT_FOR_PARTNERS = ("/v1/me/", "/v1/admin/", "/health/", "/metrics")
MODELS: Mapping[str, type[msgspec.Struct]] = {
    "Answer": AnswerData,
    "AskView": models.ConsentLink,
    "AttemptView": models.DeliveryAttempt,
    "CheckSummary": models.CheckSummary,
    "DeliveryView": models.Delivery,
    "Event": models.Event,
    "FeedbackView": models.Feedback,
    "Redelivered": models.Redelivered,
    "SecretView": models.SubscriptionSecret,
    "SubscriptionView": models.EventSubscription,
    "Behaviour": models.Behaviour,
    "BatchView": models.RecordBatch,
    "CheckBatchOutcomes": models.BatchOutcomes,
    "CheckBatchView": models.Batch,
    "CheckpointView": CheckpointData,
    "ClientView": models.PartnerClient,
    "ConsentTerms": models.ScenarioConsent,
    "ConsentView": models.Consent,
    "ConsistencyProof": xinyi_sdk.ConsistencyProof,
    "CopyView": models.ConsentCopy,
    "CriterionOutcome": models.Criterion,
    "CriterionView": models.ScenarioCriterion,
    "Definition": models.ErrorCode,
    "DisputeView": models.Dispute,
    "DryRun": models.DryRun,
    "DryRunAnswer": models.DryRunAnswer,
    "DryRunResult": models.DryRunResult,
    "EndView": models.ConsentEnd,
    "ExtensionView": models.Extension,
    "FieldView": models.RecordField,
    "GivenScenario": models.GivenScenario,
    "InclusionProof": models.InclusionProof,
    "KeyView": models.PartnerKey,
    "OutcomeView": models.OutcomeWording,
    "QuotaView": models.Quota,
    "UsageView": models.UsageRow,
    "PartnerView": models.PartnerInfo,
    "RecordTypeView": models.RecordType,
    "ReminderView": models.Reminder,
    "Repaired": models.Repaired,
    "RowError": models.RecordError,
    "ScenarioRef": models.ScenarioVersion,
    "ScenarioSummary": models.ScenarioSummary,
    "ScenarioVersion": models.ScenarioVersion,
    "ScenarioView": models.Scenario,
    "SourceRecord": models.SourceRecord,
    "SubPartyView": models.SubParty,
    "Text": models.Text,
    "Unit": models.Unit,
    "VersionRef": models.ScenarioVersion,
}
ENUMS: Mapping[str, type] = {
    "CheckBatchState": models.BatchState,
    "ConsentState": models.ConsentState,
    "DeliveryState": models.DeliveryState,
    "DisputeState": models.DisputeState,
    "EventType": models.EventType,
    "ExtensionState": models.ExtensionState,
    "Outcome": models.Outcome,
}
REQUESTS: Mapping[str, Any] = {
    "CheckRequest": models.Question,
    "Correction": models.Correction,
    "DryRunCase": models.DryRunCase,
    "Fact": models.Fact,
    "RepairedRecord": models.RepairedRecord,
}


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    about: Mapping[str, Any]

    @property
    def success(self) -> Mapping[str, Any]:
        """The JSON of its success: schema and example."""
        ((_, response),) = [each for each in self.about["responses"].items() if each[0].startswith("2")]
        found: Mapping[str, Any] = response.get("content", {}).get("application/json", {})
        return found


def operations() -> Iterator[Operation]:
    """What a partner or a source may call."""
    for path, each in DOCUMENT["paths"].items():
        if not path.startswith(NOT_FOR_PARTNERS):
            for method in set(METHODS) & each.keys():
                yield Operation(each[method]["operationId"], method.upper(), path, each[method])


OPERATIONS = {operation.id: operation for operation in operations()}


def test_every_call_that_a_partner_can_make_is_there() -> None:
    assert OPERATIONS.keys() - LEFT_OUT.keys() == CALLS.keys(), "give it to the SDK, or say here why not"
    assert LEFT_OUT.keys() <= OPERATIONS.keys()


def test_every_public_method_is_a_call_or_a_helper() -> None:
    helpers = {
        "consents.start",
        "consents.finish",
        "consents.wait",
        "batches.wait",
        "batches.follow",
        "batches.run",
        "events.list",
        "ledger.grown",
    }
    client = Xinyi(base_url=ISSUER, client_id="c", private_key=xinyi_sdk._keys.SigningKey.generate().private_pem())
    offered = {
        f"{name}.{method}"
        for name, resource in vars(client).items()
        if not name.startswith("_")
        for method, _ in inspect.getmembers(resource, inspect.ismethod)
        if not method.startswith("_")
    }
    assert offered == {call.name for call in CALLS.values()} | helpers


class Answering:
    """A platform that answers each operation with one body."""

    def __init__(self, platform: Platform, operation: Operation, body: Any) -> None:
        self._platform = platform
        self._operation = operation
        self._body = body
        self.asked: list[httpx.Request] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.startswith(("/.well-known", "/oauth2")):
            return self._platform.handle(request)
        if path == "/v1/ledger/jwks" and self._operation.id != "getLedgerKeys":
            return httpx.Response(200, json=self._platform.log.jwks)
        self.asked.append(request)
        if self._body is None:
            return httpx.Response(204)
        return httpx.Response(200, content=json.dumps(self._body).encode())


async def called(client: Any, call: Call) -> Any:
    """What the SDK makes of the answer."""
    resource, method = call.name.split(".")
    given = getattr(getattr(client, resource), method)(*call.positional, **call.named)
    if isinstance(given, AsyncIterator):
        return [each async for each in given]
    if isinstance(given, Iterator):
        return list(given)
    return await result(given)


@pytest.fixture
def answered(
    make_client: MakeClient, platform: Platform, tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[[str, Any], Any]:
    """Calls an operation of a platform that answers it with this body; gives the result and the request."""
    (tmp_path / "rows.ndjson").write_bytes(b"{}\n")

    async def answered(operation_id: str, body: Any) -> tuple[Any, httpx.Request]:
        platform_for_one = Answering(platform, OPERATIONS[operation_id], body)
        kind = httpx.AsyncClient if "async" in request.node.callspec.id.split("-") else httpx.Client
        client = make_client(http_client=kind(transport=httpx.MockTransport(platform_for_one.handle)), max_retries=0)
        call = CALLS[operation_id]
        if operation_id == "createRecordBatch":
            call = Call(call.name, (tmp_path / "rows.ndjson",))
        return await called(client, call), platform_for_one.asked[0]

    return answered


def example(operation: Operation) -> Any:
    """The document's own example of an answer, with a receipt or a checkpoint that verifies in place of the sketch."""
    body = json.loads(json.dumps(operation.success.get("example"), default=str))
    if operation.id in ("getLatestCheckpoint", "getCheckpoint"):
        body["data"]["checkpoint"] = CHECKPOINT
    if operation.id == "listCheckBatchItems":
        body["meta"] = {"limit": 50, "next_cursor": None}
    if operation.id == "listEvents":
        body["meta"] = {"limit": 50, "next_cursor": "8"}
    return body


LOG = Log()
for _number in range(7):
    LOG.append(b"%d" % _number)
CHECKPOINT = LOG.checkpoint(7)


@pytest.mark.parametrize("operation_id", sorted(CALLS))
async def test_each_call_goes_where_the_document_says_and_reads_its_example(
    operation_id: str, answered: Any, platform: Platform
) -> None:
    platform.log = LOG
    operation = OPERATIONS[operation_id]
    found, request = await answered(operation_id, example(operation))
    assert request.method == operation.method
    names = operation.path.split("/")
    parts = request.url.path.split("/")
    assert len(parts) == len(names)
    assert all(name == part or name.startswith("{") for name, part in zip(names, parts, strict=True))
    known = {each["name"]: each["schema"] for each in operation.about["parameters"] if each.get("in") == "query"}
    assert set(request.url.params) <= known.keys()
    if "limit" in request.url.params:
        assert int(request.url.params["limit"]) <= known["limit"]["maximum"]
    assert ("authorization" in request.headers) == bool(operation.about.get("security"))
    assert found is not None or operation.success == {}


@pytest.mark.parametrize("operation_id", sorted(CALLS))
async def test_a_platform_that_has_learned_more_is_understood(
    operation_id: str, answered: Any, platform: Platform
) -> None:
    """New members everywhere, and a word of each closed list that nobody knows yet."""
    platform.log = LOG
    operation = OPERATIONS[operation_id]
    if operation.success:
        await answered(operation_id, later(example(operation), operation.success["schema"]))


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return schema


def branches(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas that a value may follow."""
    schema = resolved(schema)
    if "anyOf" in schema or "oneOf" in schema:
        return [each for branch in schema.get("anyOf", schema.get("oneOf")) for each in branches(branch)]
    return [schema]


def later(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value as a later platform might give it."""
    for each in branches(schema):
        if isinstance(value, dict) and "properties" in each:
            grown = {name: later(inner, each["properties"].get(name, {})) for name, inner in value.items()}
            by_word = each in (SCHEMAS["RowCounts"], SCHEMAS["Explanation"])
            return {**grown, "a_later_member": next(iter(grown.values())) if by_word else {"of": ["any", "shape"]}}
        if isinstance(value, list) and "items" in each:
            return [later(inner, each["items"]) for inner in value]
        if isinstance(value, str) and "enum" in each:
            return "a_later_word"
    return value


# Members


@pytest.mark.parametrize("name", sorted(MODELS))
def test_each_member_of_the_document_has_its_place_in_the_model(name: str) -> None:
    schema, model = SCHEMAS[name], MODELS[name]
    members = {each.encode_name: each for each in msgspec.structs.fields(model)}
    assert members.keys() == schema["properties"].keys()
    for member, about in schema["properties"].items():
        if member not in schema.get("required", []):
            assert not members[member].required, f"{member} may be missing"
        assert json_kinds(about) <= python_kinds(members[member].type), member


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_each_word_of_a_closed_list_is_known(name: str) -> None:
    assert {each.value for each in ENUMS[name]} == set(SCHEMAS[name]["enum"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_each_member_of_a_request_can_be_given(name: str) -> None:
    model, schema = REQUESTS[name], SCHEMAS[name]
    assert model.__required_keys__ | model.__optional_keys__ == schema["properties"].keys()
    assert model.__required_keys__ == set(schema["required"])


def test_every_schema_of_an_answer_has_its_model() -> None:
    """What is reached from the answers of the SDK's calls; envelopes and closed lists aside."""
    seen: set[str] = set()
    for operation_id in CALLS:
        _reach(OPERATIONS[operation_id].success.get("schema", {}), seen)
    for_sure = {name for name in seen if "properties" in SCHEMAS[name] and not name.endswith("Envelope")}
    told_otherwise = {
        "BatchItemView": BatchItem,
        "CheckBody": models.Answer,
        "Condition": "the test of a criterion, as the scenario's file writes it",
        "Explanation": "by outcome",
        "ItemError": "in problem['errors']",
        "KeySet": "a JWK Set, as verifiers take it",
        "Problem": xinyi_sdk.APIError,
        "ReceiptBody": xinyi_sdk.Receipt,
        "RowCounts": "by verdict",
        "Rule": "as the scenario's file writes it",
    }
    assert for_sure - told_otherwise.keys() == MODELS.keys()
    assert issubclass(Checkpoint, msgspec.Struct)


def _reach(schema: Any, seen: set[str]) -> None:
    if isinstance(schema, list):
        for each in schema:
            _reach(each, seen)
    if not isinstance(schema, dict):
        return
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and name not in seen:
        seen.add(name)
        _reach(SCHEMAS[name], seen)
    for key, each in schema.items():
        if key not in ("example", "examples", "description", "default"):
            _reach(each, seen)


def json_kinds(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types that the document allows."""
    kinds: set[str] = set()
    for each in branches(schema):
        kind = each.get("type") or ("string" if "enum" in each or "const" in each else "object")
        kinds |= {kind} if isinstance(kind, str) else set(kind)
    return kinds


def python_kinds(annotation: Any) -> set[str]:
    """The JSON types that msgspec reads into this type."""
    plain = {
        str: "string",
        Decimal: "string",
        int: "integer",
        bool: "boolean",
        NoneType: "null",
        datetime: "string",
        timedelta: "string",
    }
    if annotation in plain:
        return {plain[annotation]}
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*(python_kinds(each) for each in get_args(annotation)))
    if get_origin(annotation) is tuple:
        return {"array"}
    return {"object"}
