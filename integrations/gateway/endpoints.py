"""Named endpoints: making, changing and removing them. What is stored has been checked, so that a call only checks its values."""

from __future__ import annotations

import re
from typing import Any, TypedDict

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from access import audit
from access.choices import AuditVerb
from access.scopes import SCOPES
from core.errors import Conflict, InvalidInput
from integrations.contract.gateway import GatewayTarget
from integrations.gateway.paths import check_template, query_text
from integrations.gateway.schemas import check_parameters_schema, check_schema
from integrations.models import Endpoint, Integration
from integrations.models.endpoint import Method
from integrations.registry import find

MAX_NAME = 60
MAX_DESCRIPTION = 500
MAX_CACHE_SECONDS = 7 * 86_400
MAX_FIXED = 50
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
DEFAULTS: dict[str, Any] = {
    "description": "",
    "method": Method.GET.value,
    "parameters": {},
    "body_schema": None,
    "fixed_query": {},
    "cache_seconds": 0,
    "scope": "",
    "enabled": True,
}
_REQUIRED = ("name", "path")


class EndpointValues(TypedDict, total=False):
    """What a caller may set; a key that is absent keeps the value (or takes the default)."""

    name: str
    description: str
    method: str
    path: str
    parameters: dict[str, Any]
    body_schema: dict[str, Any] | None
    fixed_query: dict[str, Any]
    cache_seconds: int
    scope: str
    enabled: bool


def endpoints_of(integration: Integration) -> QuerySet[Endpoint]:
    """Return the endpoints of an integration."""
    return Endpoint.objects.filter(integration_id=integration.pk)


def create_endpoint(integration: Integration, values: EndpointValues) -> Endpoint:
    """Make an endpoint. Raises InvalidInput, and Conflict where its name is taken or the connector can't be called."""
    require_callable(integration)
    missing = [field for field in _REQUIRED if field not in values]
    if missing:
        raise InvalidInput(f"{', '.join(missing)}: must be given.", fields={field: ["must be given."] for field in missing})
    fields = {**DEFAULTS, **values}
    check(fields)
    endpoint = Endpoint(integration=integration, **fields)
    with transaction.atomic():
        _save(endpoint, insert=True)
        endpoint.refresh_from_db(fields=["created_at"])
        audit.record(AuditVerb.CREATED, endpoint, changes=audit.diff({}, fields), owner_id=integration.owner_id)
    return endpoint


def update_endpoint(endpoint: Endpoint, values: EndpointValues) -> Endpoint:
    """Change what `values` holds. Raises InvalidInput and Conflict."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True, of=("self",)).select_related("integration").filter(pk=endpoint.pk).first()
        if row is None:
            raise Conflict("This endpoint was deleted meanwhile.")
        check({name: getattr(row, name) for name in (*_REQUIRED, *DEFAULTS)} | dict(values))
        changes = audit.diff({name: getattr(row, name) for name in values}, dict(values))
        if changes:
            for name in changes:
                setattr(row, name, values[name])  # type: ignore[literal-required]
            _save(row, fields=[*changes, "updated_at"])
            audit.record(AuditVerb.CHANGED, row, changes=changes, owner_id=row.integration.owner_id)
    return row


def delete_endpoint(endpoint: Endpoint) -> None:
    """Remove an endpoint; its calls stay in the log."""
    with transaction.atomic():
        audit.record(AuditVerb.DELETED, endpoint, owner_id=endpoint.integration.owner_id)
        Endpoint.objects.filter(pk=endpoint.pk).delete()


def require_callable(integration: Integration) -> type[GatewayTarget]:
    """Return the connector of an integration that can be called; raises Conflict for another."""
    connector = find(integration.type)
    if not issubclass(connector, GatewayTarget):
        raise Conflict(f"{connector.title} integrations can't be called through the gateway.", code="not_callable")
    return connector


def is_name(name: Any) -> bool:
    """Say whether an endpoint can be called so."""
    return isinstance(name, str) and len(name) <= MAX_NAME and bool(_NAME.fullmatch(name))


def check(fields: dict[str, Any]) -> None:
    """Raise one InvalidInput that names every wrong field of a whole endpoint."""
    errors: dict[str, list[str]] = {}
    for field, found in _found(fields):
        errors.setdefault(field, []).append(found)
    if errors:
        raise InvalidInput(" ".join(f"{field}: {sentences[0]}" for field, sentences in errors.items()), fields=errors)


def _found(fields: dict[str, Any]) -> list[tuple[str, str]]:
    errors: list[tuple[str, str]] = []
    name, method, scope, seconds = fields["name"], fields["method"], fields["scope"], fields["cache_seconds"]
    if not is_name(name):
        errors.append(("name", f"must be lower case letters, digits and hyphens, at most {MAX_NAME}, such as get-issue."))
    if not isinstance(fields["description"], str) or len(fields["description"]) > MAX_DESCRIPTION:
        errors.append(("description", f"must be a text of at most {MAX_DESCRIPTION} characters."))
    if method not in Method.values:
        errors.append(("method", f"must be one of {', '.join(Method.values)}."))
    if not isinstance(scope, str) or (scope and scope not in SCOPES):
        errors.append(("scope", f"{str(scope)[:60]!r} is no scope; leave it empty, or name one such as deliveries:read."))
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= MAX_CACHE_SECONDS:
        errors.append(("cache_seconds", f"must be a whole number from 0 to {MAX_CACHE_SECONDS}."))
    elif seconds and method != Method.GET:
        errors.append(("cache_seconds", "is for GET only: other calls change something."))
    if not isinstance(fields["enabled"], bool):
        errors.append(("enabled", "must be true or false."))
    if fields["body_schema"] is not None and method == Method.GET:
        errors.append(("body_schema", "is not for GET, which has no body."))
    path = fields["path"]
    if not isinstance(path, str):
        errors.append(("path", "must be a text such as /issues/{id}; an empty one is the base URL itself."))
    try:
        names = check_template(path if isinstance(path, str) else "")
        check_parameters_schema(fields["parameters"], names)
    except InvalidInput as error:
        errors += [(field, sentences[0]) for field, sentences in error.fields.items()]
    try:
        if fields["body_schema"] is not None:
            check_schema(fields["body_schema"], "body_schema")
    except InvalidInput as error:
        errors += [(field, sentences[0]) for field, sentences in error.fields.items()]
    return [*errors, *_fixed_errors(fields["fixed_query"], fields["parameters"])]


def _fixed_errors(fixed: Any, parameters: Any) -> list[tuple[str, str]]:
    if not isinstance(fixed, dict) or len(fixed) > MAX_FIXED:
        return [("fixed_query", f"must be a JSON object of at most {MAX_FIXED} names and values.")]
    declared = parameters.get("properties", {}) if isinstance(parameters, dict) else {}
    errors: list[tuple[str, str]] = []
    for name, value in fixed.items():
        if isinstance(declared, dict) and name in declared:
            errors.append(("fixed_query", f"{name[:60]} is a parameter already; a caller could send both."))
        elif not isinstance(value, str | int | float | bool) or len(str(value)) > 1000 or not 0 < len(name) <= 100:
            errors.append(("fixed_query", f"{name[:60]!r}: names have 1 to 100 characters, values are texts, numbers, true or false."))
        else:
            try:
                query_text(name, "fixed_query")
                query_text(str(value), "fixed_query")
            except InvalidInput as error:
                errors.append(("fixed_query", error.fields["fixed_query"][0]))
    return errors


def _save(endpoint: Endpoint, *, insert: bool = False, fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            endpoint.save(force_insert=insert, update_fields=fields)
    except IntegrityError as error:
        sentence = "is taken: this integration has an endpoint of that name."
        raise Conflict(f"name: {sentence}", code="already_exists", fields={"name": [sentence]}) from error
