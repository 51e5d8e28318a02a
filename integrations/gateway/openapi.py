"""The endpoints of an integration as an OpenAPI 3.1 document, for its callers' tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings

from access.principals import Principal
from access.selectors import visible
from integrations.models import Endpoint, Integration
from integrations.models.endpoint import Method

MOST_LISTED = 500
_ERROR = {"$ref": "#/components/schemas/Error"}
_ERRORS = {
    "400": "Parameters or body do not fit the schema.",
    "401": "No key, or not a valid one.",
    "403": "The key lacks a scope.",
    "404": "No such endpoint, or another owner's.",
    "409": "The endpoint or its integration is switched off.",
    "429": "Too many requests of this key; see Retry-After.",
    "502": "The service answered with an error, or refused the credentials; fields.upstream_status has its status.",
    "503": "The service, or a limit towards it, asks to wait; see Retry-After.",
    "504": "The service did not answer in time.",
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["status", "headers", "body", "body_kind", "cached", "stale", "age_seconds", "duration_ms", "request_id"],
    "properties": {
        "status": {"type": "integer", "description": "Status of the service's answer."},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Its harmless headers, in lower case."},
        "body": {"description": "Its body: JSON, a text, or base64 where it is neither."},
        "body_kind": {"enum": ["json", "text", "base64", "empty"]},
        "cached": {"type": "boolean", "description": "Not asked for this call."},
        "stale": {"type": "boolean", "description": "An older answer, because the service could not be asked."},
        "age_seconds": {"type": "number"},
        "duration_ms": {"type": "number"},
        "request_id": {"type": "string", "description": "Names the call in the portal's log."},
    },
}
_ERROR_SHAPE = {
    "type": "object",
    "required": ["code", "message", "fields", "request_id"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "fields": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "request_id": {"type": "string"},
    },
}


def document(integration: Integration, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the whole document; nothing in it is secret, but it names what its owner has."""
    base = settings.PUBLIC_URL.rstrip("/")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{integration.name}, through RepoGuard",
            "version": integration.updated_at.strftime("%Y-%m-%d"),
            "description": integration.purpose or "Calls are made with the integration's credentials, limits, cache and log.",
        },
        "servers": [{"url": base}],
        "security": [{"key": []}],
        "paths": {path_of(endpoint): {"post": operation(endpoint)} for endpoint in endpoints if endpoint.enabled},
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key of the portal."}},
            "schemas": {"Answer": ANSWER, "Error": _ERROR_SHAPE},
        },
    }


def path_of(endpoint: Endpoint) -> str:
    """Return the route at which an endpoint is called."""
    return f"/api/v1/integrations/{endpoint.integration_id}/endpoints/{endpoint.name}"


def operation(endpoint: Endpoint) -> dict[str, Any]:
    """Return the operation that calls an endpoint."""
    scopes = [needed_scope(endpoint), *([endpoint.scope] if endpoint.scope else [])]
    needs = " and ".join(f"`{scope}`" for scope in scopes)
    return {
        "operationId": endpoint.name.replace("-", "_"),
        "summary": endpoint.description or f"{endpoint.method} {endpoint.path or '/'}",
        "description": f"Calls {endpoint.method} {endpoint.path or '/'} of the service. Needs the scope {needs}.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": request_schema(endpoint)}}},
        "responses": {
            "200": {
                "description": "The service's good answer.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
            },
            **{code: {"description": text, "content": {"application/json": {"schema": _ERROR}}} for code, text in _ERRORS.items()},
        },
    }


def request_schema(endpoint: Endpoint) -> dict[str, Any]:
    """Return the JSON Schema of what is posted to an endpoint."""
    parameters = {"type": "object", **endpoint.parameters, "additionalProperties": False}
    properties: dict[str, Any] = {"parameters": parameters}
    required = ["parameters"] if endpoint.parameters.get("required") else []
    if endpoint.body_schema is not None:
        properties["body"] = endpoint.body_schema
        required.append("body")
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def needed_scope(endpoint: Endpoint) -> str:
    """Return the scope that calling an endpoint needs: reading is reading, anything else is writing."""
    return "integrations:read" if endpoint.method == Method.GET else "integrations:write"


def paths_for(who: Principal) -> dict[str, Any]:
    """Return the operations of the endpoints that a caller may call, for the portal's own document; one statement.

    They are told in general: that document is OpenAPI 3.0, whose schemas can't say all that JSON Schema can.
    """
    if "integrations:read" not in who.scopes:
        return {}
    rows = (
        Endpoint.objects.filter(enabled=True)
        .select_related("integration")
        .defer("integration__credentials", "integration__previous_credentials")
    )
    shown = visible(rows, who, path="integration__owner_id").order_by("integration__name", "name")[:MOST_LISTED]
    return {path_of(endpoint): {"post": _listed(endpoint)} for endpoint in shown}


def _listed(endpoint: Endpoint) -> dict[str, Any]:
    whole = operation(endpoint)
    schema = {"type": "object", "properties": {"parameters": {"type": "object", "additionalProperties": {}}, "body": {}}}
    names = ", ".join(f"`{name}`" for name in endpoint.parameters.get("properties", {})) or "none"
    document_path = f"/api/v1/integrations/{endpoint.integration_id}/openapi"
    return {
        "operationId": f"endpoint_{endpoint.pk.hex}",
        "tags": [f"endpoints of {endpoint.integration.name}"],
        "summary": whole["summary"],
        "description": f"{whole['description']} Parameters: {names}; `{document_path}` has their schemas.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {
                "description": "The service's good answer.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/GatewayAnswer"}}},
            }
        },
    }
