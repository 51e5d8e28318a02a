"""Payload templates to start from."""

from __future__ import annotations

from typing import Any

from templates_app.models import PayloadTemplate
from templates_app.payloads.services import PayloadTemplateValues, VersionValues, create_template

BODY = '{"text": "{{ message.title }}", "severity": {{ data.severity }}}'


def payload_template(body: str = BODY, *, owner_id: Any = None, name: str = "Chat", **more: Any) -> PayloadTemplate:
    """Return a stored template; `more` goes to the template, or to its first version."""
    parts = {key: more.pop(key) for key in ("headers", "url_path", "url_query", "note") if key in more}
    values = {"name": name, "events": ["finding.*", "custom.*"], "owner_id": owner_id} | more
    return create_template(PayloadTemplateValues(**values), VersionValues(body, **parts))  # type: ignore[typeddict-item]
