"""Examples of JSON, made from its schema: what a caller reads in the API document is true by construction."""

from typing import Any

Json = dict[str, Any]

BY_FORMAT = {
    "uuid": "6f1c2f0e-8a53-4c57-9a55-0f6d6e0a9b11",
    "date-time": "2026-01-31T12:00:00Z",
    "uri": "http://127.0.0.1:8080/webhook/whatsapp",
}
BY_NAME = {
    "name": "empresa_x",
    "jidAlt": "77345678901234@lid",
    "lid": "77345678901234@lid",
    "messageId": "3EB0C767D0A8F5B1D2E4",
    "pushName": "Maria",
    "stream": BY_FORMAT["uuid"],
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "endpoint": "main",
    "endpoints": ["main"],
    "node": "node-1",
    "url": "http://127.0.0.1:8080/webhook/whatsapp",
}
"""What the usual fields hold."""


def examples(schema: Json, components: dict[str, Json]) -> dict[str, Any]:
    """One example for each kind of document that the schema allows, by the kind's name."""
    whole = _resolved(schema, components)
    kinds = [kind for kind in whole.get("oneOf") or whole.get("anyOf", ()) if "$ref" in kind]
    if len(kinds) > 1:
        return {kind["$ref"].rpartition("/")[2]: example(kind, components) for kind in kinds}
    return {"usual": example(schema, components)}


def example(schema: Json, components: dict[str, Json]) -> Any:
    """One document that the schema allows: the fields' own examples, and something plausible where they have none."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example(_resolved(schema, components), components)
    if "enum" in schema:
        return schema["enum"][0]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return _of_any(options, components)
    if schema.get("default"):
        return schema["default"]
    return _of_type(schema, components)


def _of_any(options: list[Json], components: dict[str, Json]) -> Any:
    """An object or a list where there may be one; a word or number that may be missing is missing."""
    telling = [option for option in options if option.get("type") != "null"]
    found = example(telling[0], components)
    return found if len(telling) == len(options) or isinstance(found, dict | list) else None


def _of_type(schema: Json, components: dict[str, Json]) -> Any:
    match schema.get("type"):
        case "object":
            return {name: _field(name, field, components) for name, field in _telling(schema).items()}
        case "array":
            items = schema.get("items")
            return [example(items, components)] * schema.get("minItems", 1) if isinstance(items, dict) else []
        case "string":
            return BY_FORMAT.get(schema.get("format", ""), "text")
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
        case _:
            return None


def _telling(schema: Json) -> Json:
    """The fields that are always there or have an example of their own; all, where there is none of those."""
    fields: Json = schema.get("properties", {})
    required = schema.get("required", ())
    return {name: field for name, field in fields.items() if name in required or "examples" in field} or fields


def _field(name: str, schema: Json, components: dict[str, Json]) -> Any:
    found = example(schema, components)
    return BY_NAME.get(name, found) if found in ("text", ["text"], None) else found


def _resolved(schema: Json, components: dict[str, Json]) -> Json:
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    return schema
