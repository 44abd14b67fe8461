"""The JSON Schemas for editors say what the code says, and the files obey both."""

from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from xinyi.catalogue.location import scenarios_dir
from xinyi.scenarios.schema import outdated, schemas, write

FOLDER = scenarios_dir()
FILES = [*FOLDER.glob("record-types/*.yaml"), *FOLDER.glob("incentives/*.yaml"), *FOLDER.glob("*.yaml")]


def test_the_schemas_are_up_to_date() -> None:
    assert outdated(FOLDER / "schema") == [], "run `xinyi scenarios schema`"


def test_a_schema_that_is_missing_or_old_is_found(tmp_path: Path) -> None:
    assert outdated(tmp_path) == list(schemas())
    write(tmp_path)
    assert outdated(tmp_path) == []
    (tmp_path / "cases.json").write_text("{}", "utf-8")
    assert outdated(tmp_path) == ["cases.json"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_names_its_schema_and_obeys_it(path: Path) -> None:
    first, *_ = path.read_text("utf-8").splitlines()
    comment, _, target = first.partition("$schema=")
    assert comment == "# yaml-language-server: "
    schema = msgspec.json.decode((path.parent / target).read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(path.read_text("utf-8")), schema, cls=jsonschema.Draft202012Validator)


def test_a_schema_refuses_what_the_loader_refuses() -> None:
    schema = msgspec.json.decode(schemas()["scenario.json"])
    scenario = yaml.safe_load((FOLDER / "incentives" / "bike-deposit.yaml").read_text("utf-8"))
    with pytest.raises(jsonschema.ValidationError, match="weight"):
        jsonschema.validate({**scenario, "weight": 1}, schema)
    with pytest.raises(jsonschema.ValidationError, match="fallback"):
        jsonschema.validate({key: value for key, value in scenario.items() if key != "fallback"}, schema)
