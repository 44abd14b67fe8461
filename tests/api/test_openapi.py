"""The API document says what the program does, and its examples are what they say they are.

That openapi/xinyi.yaml is current, valid and clean is checked by ``make openapi-check``.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest
from litestar import get
from msgspec import Struct
from msgspec.structs import replace
from openapi_schema_validator import OAS31Validator

from xinyi.app import API, api_document
from xinyi.catalogue.service import Catalogue
from xinyi.consents.copies import text_digest
from xinyi.consents.model import ANSWER_WITHIN, Consent
from xinyi.consents.notice import Notice, Operator, notice
from xinyi.consents.written import full_text
from xinyi.kernel.errors import DEFINITIONS, Code
from xinyi.kernel.text import Language, Text
from xinyi.openapi.document import document, to_yaml
from xinyi.openapi.examples import named_examples
from xinyi.openapi.schemas import parameter_schema
from xinyi.partners.model import Partner, Standing, SubParty, SubPartyStatus
from xinyi.scenarios.model import Scenario
from xinyi.scenarios.registry import Registry
from xinyi.scenarios.views import summary
from xinyi.web.scopes import Scope
from xinyi.wiring import Services

DOCUMENT = api_document()
COMPONENTS = DOCUMENT["components"]

OPERATIONS = {operation["operationId"]: operation for item in DOCUMENT["paths"].values() for operation in item.values()}
PROBLEM = "application/problem+json"
CATALOGUE = Catalogue.load()
SCENARIOS = Registry.load(CATALOGUE)


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: dict[str, Any] = DOCUMENT
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def bodies(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each body of an operation, sent or answered."""
    yield from operation.get("requestBody", {}).get("content", {}).values()
    for response in operation["responses"].values():
        yield from response.get("content", {}).values()


def check_instance(value: Any, schema: dict[str, Any]) -> None:
    OAS31Validator({**schema, "components": COMPONENTS}).validate(value)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_body_has_an_example_that_is_an_instance_of_its_schema(name: str) -> None:
    for media in bodies(OPERATIONS[name]):
        examples = (
            [media["example"]]
            if "example" in media
            else [resolve(each)["value"] for each in media["examples"].values()]
        )
        assert examples
        for example in examples:
            check_instance(example, media["schema"])


@pytest.mark.parametrize("name", named_examples())
def test_each_example_written_by_hand_is_an_instance_of_a_schema(name: str) -> None:
    check_instance(named_examples()[name], COMPONENTS["schemas"][name])


def members(value: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Each member below ``value``, with the object that it stands in."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from members(each)
    if isinstance(value, dict):
        yield from ((name, member, value) for name, member in value.items())


def test_the_digests_of_the_examples_are_those_of_what_they_stand_for() -> None:
    """Of the scenario as it is published, and of what a subject of the example's partner reads and agrees to."""
    notice = the_examples_notice()
    assert notice.text is not None
    agreed = {"notice_digest": notice.digest, "text_digest": text_digest(notice.text)}
    found = [
        (operation, name, value, SCENARIOS.get(around["id"]).digest if name == "digest" else agreed[name])
        for operation in OPERATIONS
        for media in bodies(OPERATIONS[operation])
        for name, value, around in members(media.get("example"))
        if name in {"digest", *agreed}
    ]
    assert {name for _, name, _, _ in found} == {"digest", *agreed}
    assert [each for each in found if each[2] != each[3]] == []


def the_examples_scenario() -> Scenario:
    return SCENARIOS.get(named_examples()["ScenarioSummary"]["id"])


def the_examples_notice() -> Notice:
    shown, scenario = named_examples()["MyConsent"], the_examples_scenario()
    at = datetime.fromisoformat(shown["created_at"])
    partner = Partner(
        shown["partner"]["id"], Text(**shown["partner"]["name"]), "bank", "privacy@bank.example", Standing.ACTIVE, at
    )
    branch = shown["sub_party"]
    sub_party = SubParty(branch["id"], partner.id, Text(**branch["name"]), None, SubPartyStatus.ACTIVE, at)
    consent = Consent(
        id=shown["id"],
        partner_id=partner.id,
        client_id="cli_01kb0x4m9v5w8q2r7s3t6y1zab",
        scenario_id=scenario.id,
        scenario_version=scenario.version,
        scenario_digest=scenario.digest,
        units=tuple(shown["units"]),
        form=scenario.consent.form,
        uses=scenario.consent.uses,
        created_at=at,
        request_expires_at=at + ANSWER_WITHIN,
    )
    operator = Operator(Text("示例信用中心", "Sample Credit Centre"), "rights@credit-centre.example")
    read = notice(scenario, partner, sub_party, consent, CATALOGUE, operator, Language.ZH)
    return replace(read, text=full_text(read))


def test_the_scenario_of_the_examples_is_the_one_that_is_published() -> None:
    real = msgspec.json.decode(msgspec.json.encode(summary(the_examples_scenario())))
    assert named_examples()["ScenarioSummary"] == real
    assert set(named_examples()["ConsentView"]["units"]) == set(the_examples_scenario().units)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_described(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["description"]
    assert not operation["summary"].endswith(".")
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    for parameter in map(resolve, operation["parameters"]):
        assert parameter["description"], parameter["name"]
    for status, response in operation["responses"].items():
        assert "x-fapi-interaction-id" in response["headers"]
        assert "Request fulfilled" not in response["description"], status
        assert "Validation Exception" not in response["description"], status


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_problem_is_told_under_its_own_status(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        if PROBLEM in response.get("content", {}):
            codes = [Code(example) for example in response["content"][PROBLEM]["examples"]]
            assert {DEFINITIONS[code].status for code in codes} == {int(status)}


def test_every_tag_is_used() -> None:
    assert {tag["name"] for tag in DOCUMENT["tags"]} == {tag for op in OPERATIONS.values() for tag in op["tags"]}


def test_security_is_what_the_guards_ask_for() -> None:
    assert OPERATIONS["createCheck"]["security"] == [{"dpop": ["checks"]}]
    assert OPERATIONS["getConsent"]["security"] == [{"dpop": ["consents"]}, {"dpop": []}]
    assert OPERATIONS["createRecordBatch"]["security"] == [{"dpop": ["records"]}]
    assert OPERATIONS["listMyConsents"]["security"] == [{"session": []}]
    assert OPERATIONS["listScenarios"]["security"] == []
    flows = COMPONENTS["securitySchemes"]["dpop"]["flows"]
    assert set(flows["clientCredentials"]["scopes"]) == set(Scope)


def test_what_needs_a_token_tells_how_it_is_refused() -> None:
    for operation in OPERATIONS.values():
        if any("dpop" in each for each in operation["security"]):
            assert "www-authenticate" in operation["responses"]["401"]["headers"]
            assert "insufficient_scope" in operation["responses"]["403"]["content"][PROBLEM]["examples"]


def test_no_schema_shows_how_python_calls_it() -> None:
    for name in COMPONENTS["schemas"]:
        assert name.isalnum(), name
    text = to_yaml(DOCUMENT)
    assert "xinyi." not in text.replace("xinyi.yaml", "")
    assert "``" not in text


def test_requests_refuse_members_that_arent_known() -> None:
    for name, operation in OPERATIONS.items():
        media = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if media is not None:
            assert resolve(media["schema"])["additionalProperties"] is False, name


def test_the_document_is_the_same_every_time() -> None:
    assert to_yaml(api_document()) == to_yaml(DOCUMENT)


def test_two_schemas_of_one_name_are_refused() -> None:
    class Health(Struct):
        other: int

    @get("/other", operation_id="other")
    async def other() -> Health:
        """Another."""
        return Health(1)

    with pytest.raises(ValueError, match="Health"):
        document([*API, other], ["principal", *Services.__struct_fields__])


def test_a_parameter_is_there_or_not_but_never_null() -> None:
    told = {"oneOf": [{"type": "integer"}, {"type": "null"}], "minimum": 1.0, "maximum": 1.5, "description": "x"}
    assert parameter_schema(told) == {"type": "integer", "minimum": 1, "maximum": 1.5}
