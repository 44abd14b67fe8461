"""The document as the reference page shows it: groups of operations, each with what it takes and answers."""

import json
import re
import shlex
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from markupsafe import Markup, escape
from msgspec import Struct

from ..kernel.text import Text
from .schemas import PREFIX, Schema

_DEEPEST: Final = 6
_CODE: Final = re.compile(r"`([^`]+)`")
_STRONG: Final = re.compile(r"\*\*([^*]+)\*\*")
_LIMITS: Final = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "exclusiveMinimum": "> {}",
    "minLength": "length ≥ {}",
    "maxLength": "length ≤ {}",
    "minItems": "items ≥ {}",
    "maxItems": "items ≤ {}",
    "pattern": "{}",
    "default": "default {}",
}
_HEADINGS: Final = {
    "Checks": Text("核验", "Checks"),
    "Consents": Text("授权", "Consents"),
    "Scenarios": Text("应用场景", "Scenarios"),
    "Record types": Text("数据清单", "Record types"),
    "Records": Text("记录报送", "Records"),
    "Ledger": Text("透明日志", "Ledger"),
    "Subject": Text("信用主体", "Subject"),
    "Partner": Text("接入方", "Partner"),
    "OAuth": Text("授权服务器", "OAuth"),
    "Metadata": Text("元数据", "Metadata"),
    "Operation": Text("运行状态", "Operation"),
}


class Member(Struct, frozen=True):
    """A parameter, or a member of a body."""

    name: str
    type: str
    required: bool
    description: Markup
    limits: tuple[str, ...]
    values: tuple[str, ...]
    members: tuple["Member", ...]


class Body(Struct, frozen=True):
    """One body: how it is written, what is in it, and examples by name."""

    media_type: str
    members: tuple[Member, ...]
    examples: tuple[tuple[str, str], ...]


class Answer(Struct, frozen=True):
    """What is answered under one status."""

    status: int
    phrase: str
    description: Markup
    bodies: tuple[Body, ...]
    headers: tuple[str, ...]


class OperationView(Struct, frozen=True, kw_only=True):
    """One operation."""

    id: str
    method: str
    path: str
    summary: str
    description: Markup
    scopes: tuple[str, ...]
    """The scopes a token needs; empty when any token, a session or nothing is needed."""
    security: str
    """``token``, ``session`` or ``none``."""
    parameters: tuple[tuple[str, tuple[Member, ...]], ...]
    bodies: tuple[Body, ...]
    answers: tuple[Answer, ...]
    command: str


class Group(Struct, frozen=True):
    """The operations under one tag."""

    id: str
    heading: Text
    description: Markup
    operations: tuple[OperationView, ...]


def groups(document: dict[str, Any]) -> tuple[Group, ...]:
    """The document's groups, in the order of its tags; in each the operations by path."""
    view = _View(document)
    return tuple(
        Group(
            _slug(tag["name"]),
            _HEADINGS.get(tag["name"], Text(tag["name"], tag["name"])),
            prose(tag["description"]),
            tuple(view.operations(tag["name"])),
        )
        for tag in document["tags"]
    )


def prose(text: str) -> Markup:
    """The little Markdown that the document uses: paragraphs, code, strong."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]
    return Markup("").join(Markup("<p>{}</p>").format(inline(paragraph)) for paragraph in paragraphs)


def inline(text: str) -> Markup:
    """The same within one line."""
    escaped = str(escape(text))
    return Markup(_STRONG.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", escaped)))  # noqa: S704 (escaped)


class _View:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._server = document["servers"][0]["url"]

    def operations(self, tag: str) -> Iterator[OperationView]:
        for path, item in self._document["paths"].items():
            for method, operation in item.items():
                if tag in operation["tags"]:
                    yield self._operation(method.upper(), path, operation)

    def _operation(self, method: str, path: str, operation: dict[str, Any]) -> OperationView:
        parameters = [each for each in operation["parameters"] if "$ref" not in each]  # the common one is told once
        security = operation["security"]
        content = operation.get("requestBody", {}).get("content", {})
        return OperationView(
            id=operation["operationId"],
            method=method,
            path=path,
            summary=operation["summary"],
            description=prose(operation["description"]),
            scopes=tuple(scope for each in security for scope in each.get("dpop", ())),
            security="token" if any("dpop" in each for each in security) else "session" if security else "none",
            parameters=tuple(
                (place, members)
                for place in ("path", "query", "header")
                if (members := tuple(self._parameter(each) for each in parameters if each["in"] == place))
            ),
            bodies=tuple(self._body(media_type, media) for media_type, media in content.items()),
            answers=tuple(self._answer(int(status), response) for status, response in operation["responses"].items()),
            command=_command(method, self._server + path, security, content),
        )

    def _parameter(self, parameter: dict[str, Any]) -> Member:
        schema = {**parameter["schema"], "description": parameter["description"]}
        return self._member(parameter["name"], schema, required=parameter.get("required", False), depth=_DEEPEST)

    def _answer(self, status: int, response: dict[str, Any]) -> Answer:
        bodies = tuple(self._body(media_type, media) for media_type, media in response.get("content", {}).items())
        headers = tuple(name for name in response["headers"] if name != "x-fapi-interaction-id")
        return Answer(status, HTTPStatus(status).phrase, inline(response["description"]), bodies, headers)

    def _body(self, media_type: str, media: dict[str, Any]) -> Body:
        named = {name: self._resolve(each)["value"] for name, each in media.get("examples", {}).items()}
        examples = named or ({"": media["example"]} if "example" in media else {})
        problem = media["schema"].get("$ref") == f"{PREFIX}Problem"
        return Body(
            media_type,
            () if problem else self._members(media["schema"], 0),
            tuple((name, _shown(value)) for name, value in examples.items()),
        )

    def _members(self, schema: Schema, depth: int) -> tuple[Member, ...]:
        schema = self._inner(schema)
        if depth > _DEEPEST:
            return ()
        required = schema.get("required", ())
        return tuple(
            self._member(name, inner, required=name in required, depth=depth)
            for name, inner in schema.get("properties", {}).items()
        )

    def _member(self, name: str, schema: Schema, *, required: bool, depth: int) -> Member:
        inner = self._inner(schema)
        return Member(
            name=name,
            type=self._type(schema),
            required=required,
            description=inline(schema.get("description") or inner.get("description", "")),
            limits=tuple(text.format(inner[key]) for key, text in _LIMITS.items() if inner.get(key) not in (None, [])),
            values=tuple(str(value) for value in inner.get("enum", ())),
            members=self._members(schema, depth + 1),
        )

    def _inner(self, schema: Schema) -> Schema:
        """What has the members: through references, lists and the alternative that isn't null."""
        while True:
            options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
            if "$ref" in schema:
                schema = self._resolve(schema)
            elif len(options) == 1:
                schema = options[0]
            elif schema.get("type") == "array" and schema.get("items"):
                schema = schema["items"]
            else:
                return schema

    def _type(self, schema: Schema) -> str:
        if "$ref" in schema:
            return self._type(self._resolve(schema))
        if "anyOf" in schema:
            return " | ".join(dict.fromkeys(self._type(each) for each in schema["anyOf"]))
        kind = str(schema.get("type", "string" if "enum" in schema else "any"))
        if kind == "array":
            return f"{self._type(schema['items'])}[]" if schema.get("items") else "array"
        return str(schema.get("format", kind))

    def _resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        found = self._document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return found


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _command(method: str, url: str, security: list[dict[str, Any]], content: dict[str, Any]) -> str:
    """How to call the operation from a shell."""
    parts = [f"curl {'' if method == 'GET' else f'-X {method} '}{shlex.quote(url)}"]
    if any("dpop" in each for each in security):
        parts += ['-H "Authorization: DPoP $TOKEN"', '-H "DPoP: $PROOF"']
    elif security:
        parts.append('-b "xinyi_session=$SESSION"')
        if method != "GET":
            parts.append('-H "x-csrf-token: $CSRF"')
    for media_type, media in list(content.items())[:1]:
        example = media.get("example")
        if media_type == "application/x-www-form-urlencoded" and isinstance(example, dict):
            parts += [f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in example.items()]
        else:
            parts.append(f"-H 'Content-Type: {media_type}'")
            text = example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)
            parts.append(f"--data-binary {shlex.quote(text)}" if isinstance(example, dict) else "--data-binary @FILE")
    return " \\\n  ".join(parts)


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
