"""Making and changing payload templates. Their versions are only added; rolling back makes an older one active again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from access import audit
from access.choices import AuditVerb
from core import context
from core.errors import Conflict, InvalidInput
from core.texts import storable
from templates_app.choices import ContentType
from templates_app.models import PayloadTemplate, TemplateVersion
from templates_app.payloads.checking import check, check_events, check_platform
from templates_app.payloads.content import Parts
from templates_app.payloads.places import trying_out

MAX_NAME, MAX_DESCRIPTION, MAX_NOTE = 100, 2000, 200
_MOST_NAMED = 10


class PayloadTemplateValues(TypedDict, total=False):
    """What a caller may set of the template itself; platform and content type stay once it is made."""

    name: str
    description: str
    platform: str
    content_type: str
    events: list[str]
    owner_id: uuid.UUID | None


@dataclass(frozen=True)
class VersionValues:
    """What a version holds."""

    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    url_path: str = ""
    url_query: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def parts(self, content_type: str) -> Parts:
        """Return what is rendered."""
        return Parts(content_type, self.body, self.headers, self.url_path, self.url_query)


def create_template(values: PayloadTemplateValues, version: VersionValues) -> PayloadTemplate:
    """Create a template with its first version. Raises one InvalidInput for all that is wrong with it."""
    template = PayloadTemplate(**_checked(values, new=True))
    with trying_out():
        warnings = check(version.parts(template.content_type), template.events, template.platform)[1]
    with transaction.atomic():
        _save(template, force_insert=True)
        _add(template, version, warnings)
        template.refresh_from_db(fields=["created_at"])
        audit.record(AuditVerb.CREATED, template, changes=audit.diff({}, dict(values)))
    return template


def update_template(template: PayloadTemplate, values: PayloadTemplateValues) -> PayloadTemplate:
    """Change name, description or event types. Raises InvalidInput, also where the active version does not suit new types."""
    checked = _checked(values)
    with transaction.atomic():
        row = _locked(template.id)
        for name in ("owner_id", "platform", "content_type"):
            if name in checked and checked[name] != getattr(row, name):
                shown = name.removesuffix("_id")
                raise InvalidInput.of(shown, "can't be changed, as webhooks rely on it; make another template.")
        changes = audit.diff({name: getattr(row, name) for name in checked}, checked)
        if changes:
            for name in changes:
                setattr(row, name, checked[name])
            if "events" in changes and row.active is not None:
                with trying_out():
                    check(content_of(row.active).parts(row.content_type), row.events, row.platform)
            _save(row, update_fields=[*changes, "updated_at"])
            audit.record(AuditVerb.CHANGED, row, changes=changes)
    return row


def add_version(template: PayloadTemplate, version: VersionValues) -> tuple[TemplateVersion, bool]:
    """Add a version and make it the active one; returns it, and False where the active one says the same already."""
    with trying_out():
        warnings = check(version.parts(template.content_type), template.events, template.platform)[1]
    with transaction.atomic():
        row = _locked(template.id)
        if row.active is not None and _same(row.active, version):
            return row.active, False
        before = row.active.number if row.active else None
        added = _add(row, version, warnings)
        audit.record(AuditVerb.ACTED, row, action="new-version", changes={"version": [before, added.number]})
    return added, True


def roll_back(template: PayloadTemplate, number: int) -> PayloadTemplate:
    """Make an older (or a newer) version the active one. Raises InvalidInput for one that there is not."""
    with transaction.atomic():
        row = _locked(template.id)
        wanted = TemplateVersion.objects.filter(template=row, number=number).first()
        if wanted is None:
            raise InvalidInput.of("version", f"{number} is no version of this template; its newest is {row.latest}.")
        if wanted.id != row.active_id:
            before = row.active.number if row.active else None
            row.active = wanted
            row.save(update_fields=["active", "updated_at"])
            audit.record(AuditVerb.ACTED, row, action="rollback", changes={"version": [before, number]})
    return row


def delete_template(template: PayloadTemplate) -> None:
    """Delete a template with its versions. Raises Conflict, naming them, while webhooks use it."""
    try:
        with transaction.atomic():
            row = _locked(template.id)
            PayloadTemplate.objects.filter(id=row.id).update(active=None)
            PayloadTemplate.objects.get(id=row.id).delete()
            audit.record(AuditVerb.DELETED, row)
    except ProtectedError as error:
        names = sorted({str(used) for used in error.protected_objects})
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        raise Conflict(
            f"{template.name} is used by {', '.join(names[:_MOST_NAMED])}{more}: give these webhooks another template or none first.",
            code="in_use",
        ) from None


def content_of(version: TemplateVersion) -> VersionValues:
    """Return what a stored version holds."""
    return VersionValues(version.body, version.headers, version.url_path, version.url_query, version.note)


def _add(row: PayloadTemplate, version: VersionValues, warnings: list[str]) -> TemplateVersion:
    note = version.note.strip()
    if len(note) > MAX_NOTE or storable(note) != note:
        raise InvalidInput.of("note", f"must be a text of at most {MAX_NOTE} characters.")
    values = asdict(version) | {"note": note}
    added = TemplateVersion(template=row, number=row.latest + 1, warnings=warnings, created_by=context.actor().label[:200], **values)
    added.save(force_insert=True)
    added.refresh_from_db(fields=["created_at"])
    row.latest, row.active = added.number, added
    row.save(update_fields=["latest", "active", "updated_at"])
    return added


def _same(stored: TemplateVersion, version: VersionValues) -> bool:
    names = ("body", "headers", "url_path", "url_query")
    return all(getattr(stored, name) == getattr(version, name) for name in names)


def _locked(template_id: uuid.UUID) -> PayloadTemplate:
    row = PayloadTemplate.objects.select_for_update(of=("self",)).select_related("active").filter(id=template_id).first()
    if row is None:
        raise Conflict("This template was deleted meanwhile.")
    return row


def _save(row: PayloadTemplate, **how: Any) -> None:
    try:
        with transaction.atomic():
            row.save(**how)
    except IntegrityError as error:
        if "name" not in str(error):
            raise
        raise InvalidInput.of("name", f"{row.name!r} is taken: the owner has a template of this name already.", code="taken") from None


def _checked(values: PayloadTemplateValues, *, new: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = dict(values)
    if new or "name" in found:
        name = found.get("name")
        found["name"] = name.strip() if isinstance(name, str) else ""
        if not found["name"] or len(found["name"]) > MAX_NAME or not found["name"].isprintable():
            raise InvalidInput.of("name", f"must be a text of 1 to {MAX_NAME} printable characters.")
    text = found.get("description", "")
    if not isinstance(text, str) or len(text) > MAX_DESCRIPTION or storable(text) != text:
        raise InvalidInput.of("description", f"must be a text of at most {MAX_DESCRIPTION} characters, without NUL and lone surrogates.")
    if "events" in found:
        found["events"] = check_events(found["events"])
    if new:
        check_platform(found.get("platform", ""))
        if found.get("content_type", ContentType.JSON) not in ContentType.values:
            raise InvalidInput.of("content_type", f"must be one of {', '.join(ContentType.values)}.")
    return found
