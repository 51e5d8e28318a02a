"""The audit trail, read-only for everybody."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.filters import SinceFilter, UntilFilter, choice_filter
from access.choices import AuditVerb
from access.models import AuditEntry
from access.selectors import with_owner
from core.ids import is_uuid
from core.models import Owner

# the kinds of objects that are changed; an index leads from them to an object's entries
OBJECT_TYPES = (
    "accessattempt", "apikey", "encryptionkey", "endpoint", "group", "integration", "integrationtemplate", "payloadtemplate", "replay",
    "repository", "runtimesettings", "user", "webhook", "webhookdelivery",
)  # fmt: skip
MOST_NAME, FIELDS_SHOWN = 40, 3
_TONES = {"created": show.GOOD, "deleted": show.BAD, "refused": show.WARN, "changed": show.INFO}


@admin.register(AuditEntry)
class AuditEntryAdmin(LogAdmin):
    """Who did what, when and from where."""

    empty_text = "Every change made in the admin or through the API leaves an entry here."
    list_display = ("shown_at", "shown_actor", "shown_verb", "shown_object", "shown_fields")
    list_display_links = ("shown_at",)
    list_filter = (
        choice_filter("verb", "what", AuditVerb.choices),
        choice_filter("object_type", "kind of object", [(name, name) for name in OBJECT_TYPES]),
        SinceFilter,
        UntilFilter,
    )
    search_fields = ("object_id",)
    search_help_text = "id of an object, or name of a user"
    fields = ("shown_at", "actor", "shown_verb", "object_type", "shown_id", "owner", "address", "request_id", "shown_changes")
    readonly_fields = fields

    def rows(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Return the entries with their owners."""
        return with_owner(AuditEntry.objects.all())

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Find by the exact id of an object, or by the name of the user who acted."""
        term = search_term.strip()
        if not term:
            return queryset, False
        by_object = Q(object_type__in=OBJECT_TYPES, object_id=term)
        user_id = None if is_uuid(term) else User.objects.filter(username=term).values_list("pk", flat=True).first()
        return queryset.filter(by_object | Q(actor_id=str(user_id)) if user_id else by_object), False

    @admin.display(description="time (UTC)")
    def shown_at(self, entry: AuditEntry) -> SafeString:
        """Return the time."""
        return show.exact(entry.at)

    @admin.display(description="who")
    def shown_actor(self, entry: AuditEntry) -> SafeString:
        """Return who acted, under it from where."""
        under = format_html('<br><small class="rg-faint">{}</small>', entry.address) if entry.address else ""
        return format_html("{}{}", entry.actor, under)

    @admin.display(description="what")
    def shown_verb(self, entry: AuditEntry) -> SafeString:
        """Return the verb, or the action."""
        return show.badge(entry.action or entry.get_verb_display(), _TONES.get(entry.verb, show.QUIET))

    @admin.display(description="object")
    def shown_object(self, entry: AuditEntry) -> SafeString:
        """Return the beginning of the object's name, under it its kind and the end of its id."""
        name = _cut(entry.object_name, MOST_NAME)
        return format_html(
            '<span title="{}">{}</span>{}<small class="rg-faint rg-nowrap" title="{}">{} {}</small>',
            entry.object_name, name, mark_safe("<br>") if name else "", entry.object_id, entry.object_type, show.short(entry.object_id),
        )  # fmt: skip

    @admin.display(description="object")
    def shown_id(self, entry: AuditEntry) -> SafeString:
        """Return the object's name and its whole id."""
        return format_html("{} {}", entry.object_name, show.code(entry.object_id))

    @admin.display(description="changed")
    def shown_fields(self, entry: AuditEntry) -> SafeString:
        """Return the names of the first changed fields; all of them are on the entry's page."""
        names = ["owner" if name == "owner_id" else name for name in entry.changes]
        more = f" and {len(names) - FIELDS_SHOWN} more" if len(names) > FIELDS_SHOWN else ""
        return format_html('<span title="{}">{}{}</span>', ", ".join(names), ", ".join(names[:FIELDS_SHOWN]), more)

    @admin.display(description="changes")
    def shown_changes(self, entry: AuditEntry) -> SafeString:
        """Return old and new values side by side."""
        if not entry.changes:
            return show.NOTHING
        owners = _owner_names(entry.changes.get("owner_id"))
        lines = (_row(name, pair, owners) for name, pair in entry.changes.items())
        rows = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", lines)
        head = "<thead><tr><th>field</th><th>before</th><th>after</th></tr></thead>"
        return format_html('<table class="rg-table rg-diff">{}<tbody>{}</tbody></table>', mark_safe(head), rows)  # noqa: S308 - a constant


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _owner_names(pair: Any) -> dict[str, str]:
    """Return the names of the owners that an entry gives by id."""
    ids = [value for value in (pair if isinstance(pair, list) else []) if isinstance(value, str) and is_uuid(value)]
    return {str(owner.id): str(owner) for owner in Owner.objects.filter(id__in=ids).select_related("user", "team")} if ids else {}


def _row(name: str, pair: Any, owners: dict[str, str]) -> tuple[str, str, str]:
    old, new = pair if isinstance(pair, list) and len(pair) == 2 else (None, pair)
    if name == "owner_id":
        before, after = (owners.get(str(value), _value(value)) if value else "the admins" for value in (old, new))
        return "owner", before, after
    return name, _value(old), _value(new)


def _value(value: Any) -> str:
    if value in (None, ""):
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
