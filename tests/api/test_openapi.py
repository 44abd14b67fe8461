"""The API document says what the program does, and its examples are what they say they are.

That openapi/xinyi.yaml is current, valid and clean is checked by ``make openapi-check``.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar import get
from msgspec import Struct
from openapi_schema_validator import OAS31Validator

from xinyi.app import API, api_document
from xinyi.kernel.errors import DEFINITIONS, Code
from xinyi.openapi.document import document, to_yaml
from xinyi.openapi.examples import named_examples
from xinyi.openapi.schemas import parameter_schema
from xinyi.web.scopes import Scope
from xinyi.wiring import Services

DOCUMENT = api_document()
COMPONENTS = DOCUMENT["components"]

OPERATIONS = {operation["operationId"]: operation for item in DOCUMENT["paths"].values() for operation in item.values()}
PROBLEM = "application/problem+json"


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
