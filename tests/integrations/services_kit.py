"""Integrations with a service on this machine, and callers of them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User

from integrations.models import Endpoint, Integration
from tests.factories import owner_of

TOKEN = "portal-token-5f2b9c77"
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "integer"]},
        "state": {"type": "string"},
        "labels": {"type": "array"},
        "exact": {"type": "boolean"},
    },
    "required": ["id"],
}


def make_integration(who: User | Group | None, base_url: str, **more: Any) -> Integration:
    """Return a REST integration with a bearer token, unless `config` or `credentials` say otherwise."""
    config = {"base_url": base_url, "kind": "rest", "health_method": "GET", "expected_status": ["200-299"], "auth": "bearer"}
    values = {
        "name": "Tracker",
        "type": "http",
        "category": "development",
        "owner": owner_of(who) if who else None,
        "credentials": {"token": TOKEN},
        **more,
        "config": config | more.get("config", {}),
    }
    return Integration.objects.create(**values)


def make_endpoint(integration: Integration, **more: Any) -> Endpoint:
    """Return an endpoint GET /issues/{id} named get-issue, unless `more` says otherwise."""
    values = {"name": "get-issue", "method": "GET", "path": "/issues/{id}", "parameters": PARAMETERS, **more}
    return Endpoint.objects.create(integration=integration, **values)
