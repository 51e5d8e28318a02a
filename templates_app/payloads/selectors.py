"""Reading payload templates, and rendering previews of them."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from django.db.models import QuerySet

from access.principals import Principal
from access.selectors import visible, with_owner
from core.errors import InvalidInput, NotFound
from core.event_links import event_link
from core.event_types import MAX_NAME, catalogue
from core.fields import JSONValue
from core.models import Event
from integrations.contract.outbound import OutgoingEvent
from templates_app.models import PayloadTemplate, TemplateVersion
from templates_app.payloads.checking import check, platform_problems
from templates_app.payloads.content import Content, Parts, Rendered, read, render_event
from templates_app.payloads.places import trying_out
from templates_app.payloads.variables import example_event
from templates_app.rendering import meter as bounds
from templates_app.rendering.meter import Meter, TemplateRefused
from templates_app.rendering.refused import RefusedOutput

LIMITS: dict[str, JSONValue] = {
    "source_bytes": bounds.MAX_SOURCE,
    "output_bytes": bounds.MAX_OUTPUT,
    "loop_turns": bounds.MAX_LOOPS,
    "list_items": bounds.MAX_ITEMS,
    "steps": bounds.MAX_STEPS,
    "made_characters": bounds.MAX_MADE,
    "seconds": bounds.MAX_SECONDS,
}
_KEPT: dict[uuid.UUID, ActiveVersion] = {}
_MOST_KEPT = 256
_MOST_COMPARED = 2000
"""Lines; comparing takes the square of them in time where many are alike."""


@dataclass(frozen=True)
class ActiveVersion:
    """What is sent of a template: a version never changes, so it is read once a process."""

    id: uuid.UUID
    name: str
    """Of its template, with its number."""
    platform: str
    owner_id: uuid.UUID | None
    parts: Parts = field(repr=False)
    _content: list[Content] = field(default_factory=list, repr=False, compare=False)

    def content(self) -> Content:
        """Return it ready to be rendered; reading it takes a moment, so not on an event loop."""
        if not self._content:
            self._content.append(read(self.parts))
        return self._content[0]


@dataclass(frozen=True)
class Preview:
    """What would be sent of an event, and everything that is wrong with that; `rendered` is None where nothing would be."""

    event: OutgoingEvent
    rendered: Rendered | None
    problems: list[str]
    warnings: list[str]
    refused: RefusedOutput | None
    """Where that is why: what was made and is no JSON."""
    steps: int
    loop_turns: int


def payload_templates() -> QuerySet[PayloadTemplate]:
    """Return all templates with owner and active version."""
    return with_owner(PayloadTemplate.objects.select_related("active"))


def versions(template: PayloadTemplate) -> QuerySet[TemplateVersion]:
    """Return the versions of a template."""
    return TemplateVersion.objects.filter(template=template)


def version(template: PayloadTemplate, number: int) -> TemplateVersion:
    """Return one version; raises NotFound."""
    found = versions(template).filter(number=number).first()
    if found is None:
        raise NotFound(f"This template has no version {number}; its newest is {template.latest}.")
    return found


def version_names(version_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return what people call versions, such as "Chat, version 2"; what was deleted is left out."""
    if not version_ids:
        return {}
    rows = TemplateVersion.objects.filter(id__in=version_ids).values_list("id", "template__name", "number")
    return {key: f"{name}, version {number}" for key, name, number in rows}


def active_versions(template_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, ActiveVersion]:
    """Return what is sent of these templates now: one statement, and a second one where a version was not seen before."""
    active = dict(PayloadTemplate.objects.filter(id__in=template_ids, active__isnull=False).values_list("id", "active_id"))
    missing = set(active.values()) - _KEPT.keys()
    if missing:
        if len(_KEPT) + len(missing) > _MOST_KEPT:
            _KEPT.clear()
            missing = set(active.values())
        for row in TemplateVersion.objects.filter(id__in=missing).select_related("template"):
            parts = Parts(row.template.content_type, row.body, row.headers, row.url_path, row.url_query)
            _KEPT[row.id] = ActiveVersion(row.id, f"{row.template.name} ({row})", row.template.platform, row.template.owner_id, parts)
    return {template_id: _KEPT[version_id] for template_id, version_id in active.items() if version_id in _KEPT}


def diff(older: TemplateVersion, newer: TemplateVersion) -> str:
    """Return what changed between two versions, as a unified diff of all their parts."""
    before, after = _lines(older), _lines(newer)
    if max(len(before), len(after)) > _MOST_COMPARED and before != after:
        return f"--- {older}\n+++ {newer}\n@@ more than {_MOST_COMPARED:,} lines, which are not compared @@"
    lines = difflib.unified_diff(before, after, str(older), str(newer), lineterm="")
    return "\n".join(lines)


def event_for_preview(who: Principal, *, event_id: uuid.UUID | None = None, event_type: str = "") -> OutgoingEvent:
    """Return a recorded event that the caller sees, else the example of a type. Raises InvalidInput."""
    if event_id is not None:
        event = visible(Event.objects.all(), who).filter(id=event_id).first()
        if event is None:
            raise InvalidInput.of("event_id", f"{event_id} is not an event that you can see; GET /api/v1/events lists them.")
        data = event.payload if isinstance(event.payload, dict) else {}
        return OutgoingEvent(event.id, event.type, event.created_at, data, b"", link=event_link(event.id))
    found = catalogue.types.get(event_type) or catalogue.find(event_type)
    if found is None:
        raise InvalidInput.of(
            "event_type",
            f"{event_type[:MAX_NAME]!r} is not a known event type; GET /api/v1/event-types lists them.",
            code="unknown_event_type",
        )
    return example_event(found)


def preview(parts: Parts, event: OutgoingEvent, *, platform: str = "", events: Collection[str] = ()) -> Preview:
    """Render for one event. What is wrong is told, not raised; with `events` the whole check of a save is made as well.

    Raises RateLimited while others try out as many as there may be at once.
    """
    with trying_out():
        return _tried(parts, event, platform, events)


def _tried(parts: Parts, event: OutgoingEvent, platform: str, events: Collection[str]) -> Preview:
    meter, rendered = Meter(), None
    problems: list[str] = []
    warnings: list[str] = []
    refused: RefusedOutput | None = None
    try:
        content = read(parts)
        rendered = render_event(content, event, meter=meter)
        problems += platform_problems(platform, rendered)
    except InvalidInput as error:
        problems += _sentences(error)
        refused = refused_output(error, event.type)
    try:
        if events and not problems:
            warnings = check(parts, list(events), platform)[1]
    except InvalidInput as error:
        problems += _sentences(error)
        refused = refused_output(error, event.type)
    return Preview(event, rendered, problems, warnings, refused, meter.steps, meter.loops)


def refused_output(error: InvalidInput, event_type: str) -> RefusedOutput | None:
    """Return what a template made of an event, where it was refused for being no JSON."""
    output = error.output if isinstance(error, TemplateRefused) else None
    return replace(output, of=output.of or event_type) if output is not None else None


def _sentences(error: InvalidInput) -> list[str]:
    return [f"{name}: {sentence}" for name, sentences in error.fields.items() for sentence in sentences] or [error.message]


def _lines(row: TemplateVersion) -> list[str]:
    found = [f"header {name}: {text}" for name, text in sorted(row.headers.items())]
    found += [f"url_path: {row.url_path}"] if row.url_path else []
    found += [f"url_query {name}: {text}" for name, text in sorted(row.url_query.items())]
    return [*found, *row.body.splitlines()]
