"""Making, changing, copying, importing and exporting integration templates. Built-in ones come from the code and are only read."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from django.db import connection, transaction
from django.db.models import QuerySet

from access import audit
from access.choices import AuditVerb
from core.errors import Conflict, InvalidInput, NotAllowed
from core.fields import JSONValue
from core.ids import is_uuid
from core.texts import storable
from templates_app.blueprint import check_template
from templates_app.models import IntegrationTemplate

FORMAT = "repoguard.integration-template"
FORMAT_VERSION = 1
MAX_BYTES = 256 * 1024
_MOST_NAMED = 20
MAX_NAME, MAX_DESCRIPTION = 100, 2000
_CONTENT = ("name", "type", "description", "config", "endpoints", "webhooks")
_DEFAULTS: dict[str, Any] = {"description": "", "config": {}, "endpoints": [], "webhooks": [], "is_public": False}


class TemplateValues(TypedDict, total=False):
    """What a caller may set; a key that is absent keeps the value (or takes the default)."""

    name: str
    type: str
    description: str
    config: dict[str, Any]
    endpoints: list[dict[str, Any]]
    webhooks: list[dict[str, Any]]
    is_public: bool
    owner_id: uuid.UUID | None


def create_template(values: TemplateValues) -> IntegrationTemplate:
    """Create a custom template. Raises one InvalidInput that names everything that is wrong."""
    template = IntegrationTemplate(**{**_DEFAULTS, **values})
    _check(template)
    with transaction.atomic():
        template.save(force_insert=True)
        template.refresh_from_db(fields=["created_at"])
        audit.record(AuditVerb.CREATED, template, changes=audit.diff({}, dict(values)))
    return template


def update_template(template: IntegrationTemplate, values: TemplateValues) -> IntegrationTemplate:
    """Change what `values` holds, and raise the version. What was made of it stays as it is. Raises InvalidInput and Conflict."""
    with transaction.atomic():
        row = _locked(template)
        if values.get("owner_id", row.owner_id) != row.owner_id:
            raise InvalidInput.of("owner", "can't be changed; export the template and import it as the other owner.")
        changes = audit.diff({name: getattr(row, name) for name in values}, dict(values))
        if changes:
            for name in changes:
                setattr(row, name, values[name])  # type: ignore[literal-required]
            _check(row)
            row.version += 1
            row.save(update_fields=[*changes, "version", "updated_at"])
            audit.record(AuditVerb.CHANGED, row, changes=changes)
    return row


def delete_template(template: IntegrationTemplate) -> None:
    """Delete a custom template; what was made of it stays. Raises Conflict for a built-in one."""
    with transaction.atomic():
        row = _locked(template)
        audit.record(AuditVerb.DELETED, row)
        IntegrationTemplate.objects.filter(pk=row.pk).delete()


def require_changeable(template: IntegrationTemplate, owns: bool) -> None:
    """Raise Conflict for a built-in template, and NotAllowed for one of others that is only public."""
    if template.key is not None:
        raise Conflict(f"{template.name} is built in and comes with each release; export it and import it as your own.", code="built_in")
    if not owns:
        raise NotAllowed("This template belongs to others; export it and import it as your own to change it.")


def export_template(template: IntegrationTemplate) -> dict[str, JSONValue]:
    """Return a template as a document that import_template() reads: the same template always gives the same text, without owner and id."""
    content = {name: getattr(template, name) for name in _CONTENT}
    key = template.key or template.origin or str(template.id)
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "template": {"key": key, "version": _shared_version(template), **content},
    }
    ordered: dict[str, JSONValue] = json.loads(json.dumps(document, sort_keys=True))
    return ordered


def import_template(document: object, owner_id: uuid.UUID | None) -> tuple[IntegrationTemplate, bool]:
    """Store an exported template for an owner; returns it, and whether anything was written.

    The same key and version is imported once, also by two at the same moment: they take turns, and the second finds what the first
    stored. A newer version replaces the owner's own import of that key. Nothing of anybody
    else is touched, nor a built-in one: its import becomes a template of the owner. Raises InvalidInput and Conflict.
    """
    key, version, values = _read(document)
    with transaction.atomic():
        _take_turns(key, owner_id)
        own = _own(owner_id).filter(origin=key).first() or _own_by_id(key, owner_id)
        if own is None:
            template = create_template({**values, "owner_id": owner_id})
            _came_from(template, key, version)
            return template, True
        known = _shared_version(own)
        if version < known:
            raise Conflict(f"Version {known} of this template is here already; version {version} is older.", code="older_version")
        if version == known:
            _require_same(own, values)
            return own, False
        template = update_template(own, values)
        _came_from(template, key, version)
    return template, True


def _take_turns(key: str, owner_id: uuid.UUID | None) -> None:
    """Wait until no other import of this key for this owner is under way; SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        digest = hashlib.sha256(f"templates_app.import:{owner_id}:{key}".encode()).digest()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], signed=True)])


def _require_same(template: IntegrationTemplate, values: TemplateValues) -> None:
    if any(getattr(template, name) != value for name, value in values.items()):
        raise Conflict(
            f"Version {template.version} of this template is here already, with other content; give the changed one a higher version.",
            code="other_content",
        )


def _check(template: IntegrationTemplate) -> None:
    errors = _unstorable(template)
    name, description, connector = _as_given(template)
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        errors["name"] = [f"must be a text of 1 to {MAX_NAME} printable characters."]
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION:
        errors["description"] = [f"must be a text of at most {MAX_DESCRIPTION} characters."]
    if not isinstance(connector, str) or not connector:
        errors["type"] = ["must be the key of a connector; GET /api/v1/connectors lists them."]
    try:
        text = json.dumps([template.config, template.endpoints, template.webhooks], allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        errors["config"] = ["can't be stored: it is nested too deeply, or holds NaN or infinity."]
    else:
        if len(text) > MAX_BYTES:
            errors["config"] = [f"has {len(text)} bytes with endpoints and webhooks; at most {MAX_BYTES} are allowed."]
    if errors:
        raise InvalidInput(" ".join(f"{field}: {sentences[0]}" for field, sentences in errors.items()), fields=errors)
    check_template(template)


def _unstorable(template: IntegrationTemplate) -> dict[str, list[str]]:
    """Return each text and name that not every database stores, by its path: NUL and lone surrogates."""
    content = {name: getattr(template, name) for name in _CONTENT}
    try:
        found = [storable(path) for path, text in _texts(content, "") if storable(text) != text]
    except RecursionError:
        return {}  # named with the size
    return {path: ["must not hold NUL characters or lone surrogates."] for path in found[:_MOST_NAMED]}


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, text) of every text and every name in a JSON value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            below = f"{path}.{name}" if path else str(name)
            yield below, str(name)
            yield from _texts(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}.{index}")


def _as_given(template: IntegrationTemplate) -> tuple[object, object, object]:
    return template.name, template.description, template.type  # an import may hold anything


def _locked(template: IntegrationTemplate) -> IntegrationTemplate:
    row = IntegrationTemplate.objects.select_for_update(of=("self",)).filter(pk=template.pk).first()
    if row is None:
        raise Conflict("This template was deleted meanwhile.")
    require_changeable(row, owns=True)
    return row


def _shared_version(template: IntegrationTemplate) -> int:
    """Return the version that the outside knows: of an import, the one it came as, until it is changed here."""
    return max(template.version, template.origin_version or 0)


def _came_from(template: IntegrationTemplate, key: str, version: int) -> None:
    template.origin, template.origin_version, template.version = key, version, version
    template.save(update_fields=["origin", "origin_version", "version"])


def _own(owner_id: uuid.UUID | None) -> QuerySet[IntegrationTemplate]:
    rows = IntegrationTemplate.objects.select_for_update(of=("self",)).filter(key__isnull=True)
    return rows.filter(owner__isnull=True) if owner_id is None else rows.filter(owner_id=owner_id)


def _own_by_id(key: str, owner_id: uuid.UUID | None) -> IntegrationTemplate | None:
    return _own(owner_id).filter(pk=key).first() if is_uuid(key) else None


def _read(document: object) -> tuple[str, int, TemplateValues]:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidInput.of("format", f"must be {FORMAT!r}: import what GET integration-templates/{{id}}/export answered.")
    version = document.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InvalidInput.of("format_version", f"must be a whole number; this portal reads version {FORMAT_VERSION}.")
    if version > FORMAT_VERSION:
        raise InvalidInput.of(
            "format_version",
            f"is {version}, from a newer RepoGuard; this one reads up to version {FORMAT_VERSION}. Update it, or export from an older one.",
            code="newer_format",
        )
    template = document.get("template")
    if not isinstance(template, dict):
        raise InvalidInput.of("template", "must be a JSON object.")
    if unknown := sorted(set(template) - {"key", "version", *_CONTENT}):
        raise InvalidInput.of("template", f"holds {', '.join(map(str, unknown))[:200]}, which format version {version} does not know.")
    key, number = template.get("key"), template.get("version")
    if not isinstance(key, str) or not 1 <= len(key) <= 80 or not key.isprintable():
        raise InvalidInput.of("template.key", "must be a text of 1 to 80 printable characters.")
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number < 2**31:
        raise InvalidInput.of("template.version", "must be a whole number from 1.")
    missing = [name for name in ("name", "type", "config") if name not in template]
    if missing:
        raise InvalidInput("The template lacks something.", fields={f"template.{name}": ["must be given."] for name in missing})
    return key, number, TemplateValues(**{name: template[name] for name in _CONTENT if name in template})  # type: ignore[typeddict-item]
