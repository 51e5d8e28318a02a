"""What a template asks for: a JSON Schema of plain values, of which the API validates and forms are made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

import jsonschema_rs

from core.errors import InvalidInput
from integrations.contract.fields import Field, FieldKind
from integrations.gateway.schemas import check_schema, compiled
from templates_app.placeholders import NAME

MAX_ASKED = 50
_TYPES = ("string", "integer", "number", "boolean", "array", "object")
_KEYWORDS = frozenset(
    {
        "type", "title", "description", "default", "examples", "enum", "format", "pattern", "minLength", "maxLength", "minimum",
        "maximum", "items", "minItems", "maxItems", "additionalProperties", "maxProperties", "writeOnly", "x-multiline", "x-link",
    }
)  # fmt: skip
_FORBIDDEN_FOR_SECRETS = ("default", "examples", "enum", "const")
_FORMATS = {
    "uri": "https://api.example.com",
    "email": "team@example.com",
    "date": "2026-01-31",
    "uuid": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
}
_MOST_ERRORS = 20
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 20_000}
_TEXT: dict[str, Any] = {"type": "string", "maxLength": 2000}
# what the keywords of one value may hold: forms and examples are made of them
_KEYWORD_RULES = jsonschema_rs.Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "type": {"enum": list(_TYPES)},
            **dict.fromkeys(("title", "description", "format", "pattern"), _TEXT),
            "x-link": _TEXT | {"pattern": "^https://"},
            **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "maxProperties"), _COUNT),
            **{key: {"type": "number"} for key in ("minimum", "maximum")},
            **{key: {"type": "boolean"} for key in ("writeOnly", "x-multiline")},
            "examples": {"type": "array", "maxItems": 20},
            "enum": {"type": "array", "minItems": 1, "maxItems": 200},
            "items": {"const": {"type": "string"}},
            "additionalProperties": {"const": {"type": "string"}},
        },
        "required": ["type"],
    }
)


def properties(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the schemas of the values that are asked for, by name."""
    return dict(config.get("schema", {}).get("properties", {}))


def secret_names(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the values that are secrets."""
    return frozenset(name for name, schema in properties(config).items() if schema.get("writeOnly") is True)


def check_asked(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with `schema`, `defaults` and `required`, by dotted path below `config`."""
    schema = config.get("schema", {})
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        return {"config.schema": ['must be a JSON Schema of an object, such as {"properties": {"base_url": {"type": "string"}}}.']}
    errors: dict[str, list[str]] = {}
    if unknown := sorted(set(schema) - {"$schema", "type", "properties", "title", "description", "additionalProperties", "required"}):
        errors["config.schema"] = [f"can't use {', '.join(unknown)}; name plain values under properties, and required ones in `required`."]
    asked = properties(config)
    if len(asked) > MAX_ASKED:
        errors["config.schema.properties"] = [f"can ask for at most {MAX_ASKED} values."]
    for name, one in asked.items():
        if sentence := _property_error(name, one):
            errors[f"config.schema.properties.{name}"] = [sentence]
    if not errors:
        errors |= _required_errors(config, asked)
    return errors or _default_errors(config)


def complete(config: Mapping[str, Any], values: object) -> dict[str, Any]:
    """Return the values with the template's defaults; raises one InvalidInput that names every wrong one as `values.<name>`.

    Empty texts count as left out.
    """
    if not isinstance(values, Mapping):
        raise InvalidInput.of("values", "must be a JSON object.")
    asked = properties(config)
    merged = {**defaults(config), **{name: value for name, value in values.items() if value not in (None, "")}}
    errors = {f"values.{name}": [f"is not asked for. Asked for: {', '.join(asked) or 'nothing'}."] for name in merged if name not in asked}
    for name in required(config):
        if name not in merged:
            errors[f"values.{name}"] = ["is required."]
    for name, value in merged.items():
        if name in asked and (sentences := _value_errors(asked[name], value)):
            errors[f"values.{name}"] = [_secret_error(asked[name])] if asked[name].get("writeOnly") else sentences
    if errors:
        raise InvalidInput(" ".join(f"{name}: {sentences[0]}" for name, sentences in errors.items()), fields=errors)
    return {name: merged[name] for name in asked if name in merged}


def _secret_error(schema: Mapping[str, Any]) -> str:
    """Say what a secret has to be, without the one that was given."""
    form = "an address such as https://example.com/path" if schema.get("format") == "uri" else f"a value of the type {schema['type']}"
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    length = f", of {least} to {most:,} characters" if most else ""
    return f"is not as it should be: {form}{length}{', in the form that its description names' if 'pattern' in schema else ''}."


def defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default values: those of the template, else those of the schema."""
    own = {name: schema["default"] for name, schema in properties(config).items() if "default" in schema}
    return own | dict(config.get("defaults", {}))


def required(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the values that must be there."""
    return [str(name) for name in dict.fromkeys([*config.get("required", []), *config.get("schema", {}).get("required", [])])]


def examples(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an acceptable value for everything that is asked for, to try a template out with."""
    given = defaults(config)
    return {name: given[name] if name in given else _example(schema) for name, schema in properties(config).items()}


def as_fields(config: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return what is asked for as declared fields, of which forms are made."""
    wanted, given = required(config), defaults(config)
    return tuple(_field(name, schema, name in wanted, given.get(name)) for name, schema in properties(config).items())


def _property_error(name: str, schema: Any) -> str | None:
    if not re.fullmatch(NAME, name):
        return "must be named in lower case letters, digits and underscores, starting with a letter."
    if not isinstance(schema, dict) or schema.get("type") not in _TYPES:
        return f"must have a type: {', '.join(_TYPES)}."
    if unknown := sorted(set(schema) - _KEYWORDS):
        return f"can't use {', '.join(unknown)}. Known: {', '.join(sorted(_KEYWORDS))}."
    if wrong := next(_KEYWORD_RULES.iter_errors(schema), None):
        return f"{'.'.join(map(str, wrong.instance_path))}: {wrong.message[:200]}."
    if schema.get("writeOnly"):
        if schema["type"] != "string":
            return "is a secret (writeOnly), so it must be a string."
        if held := [keyword for keyword in _FORBIDDEN_FOR_SECRETS if keyword in schema]:
            return f"is a secret (writeOnly), so it must not hold {', '.join(held)}."
    try:
        check_schema(schema, "schema")
    except InvalidInput as error:
        return error.fields["schema"][0]
    if "pattern" in schema and not schema.get("writeOnly") and "examples" not in schema and "default" not in schema:
        return "has a pattern, so it needs examples: the template is tried out with them."
    if not schema.get("writeOnly") and (misfits := [one for one in schema.get("examples", []) if _value_errors(schema, one)]):
        return f"has an example that does not fit it: {json.dumps(misfits[0])[:80]}."
    return None


def _required_errors(config: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, list[str]]:
    errors = {}
    own, of_schema = config.get("required", []), config.get("schema", {}).get("required", [])
    for place, names in (("config.required", own), ("config.schema.required", of_schema)):
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            errors[place] = ["must be a list of names."]
        elif unknown := sorted(set(names) - set(asked)):
            errors[place] = [f"{', '.join(unknown)[:200]}: not among the properties of the schema."]
    return errors


def _default_errors(config: Mapping[str, Any]) -> dict[str, list[str]]:
    asked, errors = properties(config), dict[str, list[str]]()
    if not isinstance(config.get("defaults", {}), dict):
        return {"config.defaults": ["must be a JSON object."]}
    for name, value in defaults(config).items():
        if name not in asked:
            errors[f"config.defaults.{name}"] = ["is not among the properties of the schema."]
        elif asked[name].get("writeOnly"):
            errors[f"config.defaults.{name}"] = ["is a secret (writeOnly): a template never holds one."]
        elif sentences := _value_errors(asked[name], value):
            errors[f"config.defaults.{name}"] = sentences
    return errors


def _value_errors(schema: Mapping[str, Any], value: Any) -> list[str]:
    try:
        found = list(islice(compiled(json.dumps(schema, sort_keys=True)).iter_errors(value), _MOST_ERRORS))
    except (ValueError, RecursionError):
        return ["can't be read."]
    sentences = [f"{error.message[:200].rstrip('.')}." for error in found]
    if not sentences and schema["type"] == "string" and not str(value).isprintable() and not schema.get("x-multiline"):
        return ["must be one line without control characters."]
    return sentences


def _example(schema: Mapping[str, Any]) -> Any:
    if found := [*schema.get("examples", []), *schema.get("enum", [])]:
        return found[0]
    kind = schema["type"]
    if kind == "string":
        text = _FORMATS.get(schema.get("format", ""), "example")
        return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", len(text) + 1000)]
    if kind in ("integer", "number"):
        return schema.get("minimum", min(1, schema.get("maximum", 1)))
    return {"boolean": True, "array": ["example"], "object": {"example": "example"}}[kind]


def _field(name: str, schema: Mapping[str, Any], is_required: bool, default: Any) -> Field:
    choices = tuple((str(value), str(value)) for value in schema.get("enum", []))
    if choices and schema["type"] == "string":
        kind = FieldKind.CHOICE
    elif schema["type"] == "string":
        kind = FieldKind.URL if schema.get("format") == "uri" else FieldKind.MULTILINE if schema.get("x-multiline") else FieldKind.TEXT
    else:
        kinds = {"integer": FieldKind.INTEGER, "number": FieldKind.NUMBER, "boolean": FieldKind.BOOLEAN, "array": FieldKind.WORDS}
        kind = kinds.get(schema["type"], FieldKind.MAPPING)
    found = schema.get("examples", [""])
    return Field(
        name=name,
        title=schema.get("title") or name.replace("_", " ").capitalize(),
        kind=kind,
        help=schema.get("description", ""),
        secret=bool(schema.get("writeOnly")),
        required=is_required,
        default=tuple(default) if isinstance(default, list) else default,
        choices=choices if kind == FieldKind.CHOICE else (),
        low=schema.get("minimum"),
        high=schema.get("maximum"),
        max_length=schema.get("maxLength", 2000),
        placeholder=str(found[0]) if found and isinstance(found[0], str) else "",
        link=schema.get("x-link", ""),
    )
