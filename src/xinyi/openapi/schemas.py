"""The schemas of bodies, by msgspec: it decodes and encodes them, so it knows them best.

Litestar's own are used for parameters alone.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..web.envelope import Envelope

Schema = dict[str, Any]

PREFIX: Final = "#/components/schemas/"
_ENVELOPE: Final = re.compile(r"^Envelope_(?P<list>list_)?(?P<data>[\w.]+?)_+$")


def body_schemas(types: Iterable[Any]) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """The schema of each type, and the components that they refer to.

    Raises ``ValueError`` when two Structs have one name: the reader of the document sees no modules.
    """
    wanted = list(types)
    found, components = msgspec.json.schema_components(wanted, ref_template=PREFIX + "{name}")
    names = {name: _name(name) for name in components}
    twice = [name for name, times in Counter(names.values()).items() if times > 1]
    if twice:
        raise ValueError(f"two schemas have one name: {', '.join(twice)}")
    clean = {names[name]: _tidy(schema, names) for name, schema in sorted(components.items())}
    for name, schema in clean.items():
        if name.endswith("Envelope"):
            schema["description"] = _envelope_description(schema, clean)
    return {type_: _tidy(schema, names) for type_, schema in zip(wanted, found, strict=True)}, clean


def parameter_schema(schema: Schema) -> Schema:
    """Litestar's schema of a parameter without what it says twice, and without null: a parameter is there or not."""
    every = [*schema.get("oneOf", []), *schema.get("allOf", [])]
    options = [option for option in every if option.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in {"oneOf", "allOf", "description", "title"}}
    merged = {**options[0], **rest} if len(options) == 1 else {**rest, **({"oneOf": options} if options else {})}
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in merged.items()
    }


def _name(name: str) -> str:
    """``ConsentEnvelope`` for ``Envelope_xinyi.consents.http.ConsentView_``; a list's is ``ConsentListEnvelope``."""
    found = _ENVELOPE.match(name)
    if found is None:
        return name.rpartition(".")[2]
    data = found["data"].rpartition(".")[2].removesuffix("View")
    return f"{data}{'List' if found['list'] else ''}{Envelope.__name__}"


def _tidy(value: Any, names: dict[str, str]) -> Any:
    """The same with clean names, without Python's titles, and with Markdown for reStructuredText's literals."""
    if isinstance(value, list):
        return [_tidy(inner, names) for inner in value]
    if not isinstance(value, dict):
        return value
    tidy: Schema = {}
    for key, inner in value.items():
        match key, inner:
            case "$ref", str():
                tidy[key] = PREFIX + names[inner.removeprefix(PREFIX)]
            case "description", str():
                tidy[key] = " ".join(inner.replace("``", "`").split())
            case "title", str():
                continue
            case (("examples" | "enum" | "const" | "default"), _):
                tidy[key] = inner
            case _:
                tidy[key] = _tidy(inner, names)
    return tidy


def _envelope_description(schema: Schema, components: dict[str, Schema]) -> str:
    data = schema["properties"]["data"]
    of = data.get("items", data).get("$ref", "").removeprefix(PREFIX)
    text: str = components.get(of, {}).get("description", "The answer.")
    return f"A list. Each item: {text[0].lower()}{text[1:]}" if "items" in data else text
