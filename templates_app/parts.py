"""The endpoints and webhooks of a template, checked when it is saved: as far as can be said before its values are known.

A placeholder stands for any value of the type that its property has. Where the template itself gives such a value (a default, an
example, a choice) the whole field must keep the rules with it; otherwise its type must fit, and the rest is said when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.errors import InvalidInput
from integrations.contract.gateway import GatewayTarget
from integrations.contract.schema import validate_options
from integrations.contract.values import Values
from integrations.gateway import endpoints
from integrations.registry import find
from templates_app.asked import defaults, properties
from templates_app.models import IntegrationTemplate
from templates_app.placeholders import leaves, names_in, whole

Errors = dict[str, list[str]]
WebhookRules = Callable[[Mapping[str, Any]], Errors]
_NUMBER = frozenset({"integer", "number"})
_TEXT, _LIST, _OBJECT = frozenset({"string"}), frozenset({"array"}), frozenset({"object"})
# which types of a property a field may be filled with as a whole
_TYPES: dict[str, dict[str, frozenset[str]]] = {
    "endpoints": {
        "name": _TEXT, "description": _TEXT, "method": _TEXT, "path": _TEXT, "scope": _TEXT, "parameters": _OBJECT,
        "body_schema": _OBJECT, "fixed_query": _OBJECT, "cache_seconds": _NUMBER, "enabled": frozenset({"boolean"}),
    },
    "webhooks": {
        "name": _TEXT, "url": _TEXT, "status": _TEXT, "events": _LIST, "filter": _OBJECT, "headers": _OBJECT, "destination": _OBJECT,
        "routing": _OBJECT, "retry_config": _OBJECT, "rate_limit": _NUMBER, "concurrency": _NUMBER, "priority": _NUMBER,
    },
}  # fmt: skip
# what an unknown path leaves open with itself: its parameters are checked against it
_TOGETHER = {"path": ("path", "parameters", "fixed_query"), "parameters": ("parameters", "fixed_query", "path")}
_rules: list[WebhookRules] = []


def register_webhook_rules(rules: WebhookRules) -> None:
    """Say how the fields of a webhook are checked: the room of webhooks declares it at start, since imports point the other way."""
    _rules[:] = [rules]


def endpoint_errors(template: IntegrationTemplate, made: list[Values]) -> Errors:
    """Return what is wrong with the endpoints, by path; `made` are they, filled with examples."""
    errors: Errors = {}
    if made and not issubclass(find(template.type), GatewayTarget):
        return {"endpoints": ["must be empty: integrations of this type can't be called through the gateway."]}
    names: dict[Any, int] = {}
    for index, (given, row) in enumerate(zip(template.endpoints, made, strict=True)):
        _collect(errors, template, f"endpoints.{index}", given, _of_endpoint(row))
        name = given.get("name")
        if isinstance(name, str) and not names_in(name) and names.setdefault(name, index) != index:
            errors.setdefault(f"endpoints.{index}.name", []).append(f"is the name of endpoints.{names[name]}, too.")
    return errors


def webhook_errors(template: IntegrationTemplate, made: list[Values], config: Values) -> Errors:
    """Return what is wrong with the webhooks, by path; `made` are they, filled with examples, `config` that of the integration."""
    errors: Errors = {}
    for index, (given, row) in enumerate(zip(template.webhooks, made, strict=True)):
        _collect(errors, template, f"webhooks.{index}", given, _of_webhook(template.type, given, row, config))
    return errors


def _of_endpoint(row: Values) -> Errors:
    if missing := [name for name in ("name", "path") if name not in row]:
        return {name: ["must be given."] for name in missing}
    try:
        endpoints.check({**endpoints.DEFAULTS, **row})
    except InvalidInput as error:
        return error.fields
    return {}


def _of_webhook(connector: str, given: Mapping[str, Any], row: Values, config: Values) -> Errors:
    errors = {name: ["must be given."] for name in ("name", "events") if name not in row}
    fields = {name: value for name, value in row.items() if name != "destination"}
    for rules in _rules:
        errors |= rules(fields)
    if given.get("url"):
        if row.get("destination"):
            errors["destination"] = ["are options of an integration's destination: leave them out, or leave out the url."]
        return errors
    try:
        validate_options(find(connector), row.get("destination") or {}, config=config)
    except InvalidInput as error:
        errors |= error.fields
    return errors


def _collect(errors: Errors, template: IntegrationTemplate, place: str, given: Mapping[str, Any], found: Errors) -> None:
    """Add what was found with examples, but for fields whose values nobody knows yet; and placeholders of a type that never fits."""
    kinds, wanted = properties(template.config), _TYPES[place.partition(".")[0]]
    unknown: set[str] = set()
    for field, value in given.items():
        names = {name for _, text in leaves(value) for name in names_in(text)}
        # of headers only the values may be unknown, and any text is one
        if not names <= _known(template) and (field != "headers" or isinstance(value, str)):
            unknown |= set(_TOGETHER.get(field, (field,)))
        kind = kinds.get(whole(value) or "", {}).get("type") if isinstance(value, str) else None
        if kind is not None and kind not in wanted[field]:
            sentence = f"is filled with {whole(value)}, a value of the type {kind}; it needs {' or '.join(sorted(wanted[field]))}."
            errors.setdefault(f"{place}.{field}", []).append(sentence)
    for field, sentences in found.items():
        if field.partition(".")[0] not in unknown and f"{place}.{field}" not in errors:
            errors[f"{place}.{field}"] = sentences


def _known(template: IntegrationTemplate) -> set[str]:
    """Return the values of which the template gives one itself."""
    asked = properties(template.config)
    given = {name for name, schema in asked.items() if schema.get("examples") or schema.get("enum") or schema["type"] == "boolean"}
    return given | set(defaults(template.config))
