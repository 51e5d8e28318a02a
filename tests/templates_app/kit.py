"""Templates to start from."""

from __future__ import annotations

import copy
from typing import Any

from templates_app import services
from templates_app.models import IntegrationTemplate

CONFIG: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {
            "base_url": {"type": "string", "format": "uri"},
            "token": {"type": "string", "writeOnly": True},
            "path": {"type": "string", "maxLength": 50},
            "criticality": {"type": "string", "enum": ["critical", "important", "optional"]},
            "target": {"type": "number", "minimum": 0, "maximum": 100},
            "events": {"type": "array", "items": {"type": "string"}},
        },
    },
    "defaults": {"path": "/health", "criticality": "important", "events": ["finding.*"]},
    "required": ["base_url", "token"],
    "integration": {
        "criticality": "{{ criticality }}",
        "sla_availability": "{{ target }}",
        "config": {"base_url": "{{ base_url }}", "auth": "bearer", "health_path": "{{ path }}"},
        "credentials": {"token": "{{ token }}"},
    },
}
ENDPOINTS = [{"name": "status", "method": "GET", "path": "{{ path }}"}]
WEBHOOKS = [
    {"name": "Through it", "events": "{{ events }}", "destination": {"path": "/in{{ path }}"}},
    {"name": "Own", "url": "https://receiver.example.com/{{ criticality }}", "events": ["gate.*"], "headers": {"X-Token": "T {{ token }}"}},
]
SECRET = "planted-9f8e7d6c5b4a-secret"
VALUES = {"base_url": "https://api.example.com/v1", "token": SECRET}


def values_of(**changes: Any) -> services.TemplateValues:
    given = {"name": "Tickets", "type": "http", "config": CONFIG, "endpoints": ENDPOINTS, "webhooks": WEBHOOKS}
    return services.TemplateValues(**copy.deepcopy(given | changes))  # type: ignore[typeddict-item]


def make_template(**changes: Any) -> IntegrationTemplate:
    return services.create_template(values_of(**changes))


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the arguments of values_of() with one place of config, endpoints or webhooks changed."""
    whole: dict[str, Any] = {"config": CONFIG, "endpoints": ENDPOINTS, "webhooks": WEBHOOKS}
    whole = copy.deepcopy(whole)
    *parents, last = path.split(".")
    place: Any = whole
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return whole
