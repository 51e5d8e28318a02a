"""The templates that ship with the code: one JSON file each, named by its key. `prepare` stores them at every start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.db import transaction

from templates_app.blueprint import check_template
from templates_app.models import IntegrationTemplate

FOLDER = Path(__file__).parent
_CONTENT = ("name", "type", "description", "config", "endpoints", "webhooks")


def documents() -> dict[str, dict[str, Any]]:
    """Return the built-in templates by key."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def ensure_builtins() -> int:
    """Store the built-in templates as the code has them; returns how many were written. Those of former releases go.

    Only rows with a key are touched: a custom template has none, whatever its name. What was made of a template stays.
    """
    wanted = documents()
    with transaction.atomic():
        present = {row.key: row for row in IntegrationTemplate.objects.filter(key__isnull=False)}
        count = sum(_store(key, document, present.get(key)) for key, document in wanted.items())
        count += IntegrationTemplate.objects.filter(key__in=[key for key in present if key not in wanted]).delete()[0]
    return count


def _store(key: str, document: dict[str, Any], row: IntegrationTemplate | None) -> int:
    content = {name: document[name] for name in _CONTENT}
    fixed = {**content, "version": document["version"], "is_public": True, "owner_id": None}
    if row is not None and all(getattr(row, name) == value for name, value in fixed.items()):
        return 0
    row = row or IntegrationTemplate(key=key)
    for name, value in fixed.items():
        setattr(row, name, value)
    check_template(row)
    row.save()
    return 1
