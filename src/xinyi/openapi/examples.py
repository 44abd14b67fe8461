"""Examples of bodies, put together from the examples of their members: what a schema says is what the example shows."""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from .schemas import PREFIX, Schema

_FORMATS: Final = {
    "date-time": "2026-11-02T08:00:00Z",
    "date": "2026-11-02",
    "duration": "P1D",
    "uuid": "6ba7b814-9dad-41d1-80b4-00c04fd430c8",
}


@cache
def named_examples() -> dict[str, Any]:
    """The instances that are written by hand, by the schema's name."""
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return found


def example(schema: Schema, components: dict[str, Schema]) -> Any:
    """An instance of ``schema``: its own example when it has one, else one that shows every member."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PREFIX)
        return named_examples()[name] if name in named_examples() else example(components[name], components)
    for options in (schema.get("anyOf"), schema.get("oneOf")):
        if options:
            return example(next((each for each in options if each.get("type") != "null"), options[0]), components)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    return _of_type(schema, components)


def _of_type(schema: Schema, components: dict[str, Schema]) -> Any:
    match schema.get("type"):
        case "object":
            members = {name: example(inner, components) for name, inner in schema.get("properties", {}).items()}
            required = schema.get("required", ())
            return {name: value for name, value in members.items() if name in required or value not in ({}, [])}
        case "array":
            if "prefixItems" in schema:
                return [example(inner, components) for inner in schema["prefixItems"]]
            return [example(schema["items"], components)] if schema.get("items") else []
        case "string":
            return _FORMATS.get(schema.get("format", ""), "…")
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return True
        case _:
            return None
