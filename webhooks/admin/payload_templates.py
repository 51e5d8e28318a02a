"""Payload templates in the admin: an editor that shows at once what would be sent, and versions to compare and to go back to."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.buttons import Button, ButtonField
from access.selectors import visible
from core.errors import InvalidInput, RepoGuardError
from core.event_types import catalogue
from templates_app.choices import ContentType
from templates_app.models import PayloadTemplate, TemplateVersion
from templates_app.payloads import selectors, services
from webhooks.admin.payload_form import PayloadForm, event_asked, preview_choices, preview_values
from webhooks.admin.payload_preview import preview_context, told
from webhooks.models import Webhook
from webhooks.services.previews import example_type

VERSIONS_SHOWN = 50
WEBHOOKS_SHOWN = 20
_FIRST = "finding.opened"


@admin.register(PayloadTemplate)
class PayloadTemplateAdmin(PortalAdmin):
    """What webhooks send in place of the event."""

    shows_id = True
    empty_text = "A payload template says what a webhook sends in place of the portal's own JSON. Webhooks without one need none."
    form = PayloadForm
    list_display = ("name", "shown_for", "content_type", "shown_version", "shown_owner")
    search_fields = ("name", "description")
    search_help_text = "name or description"
    ordering = ("-id",)
    delete_consequence = "Its versions go with it. It is refused while a webhook has it."
    change_form_after_template = "portal/payload_editor.html"
    readonly_fields = ("shown_for", "shown_events", "shown_body", "shown_headers", "shown_added", "shown_owner")
    _shown = ("name", "description", "content_type", *readonly_fields)
    _sections = (
        (None, {"fields": ("name", "description", "platform", "content_type", "events", "owner")}),
        ("Content", {"fields": ("body", "headers", "url_path", "url_query", "note")}),
    )

    def rows(self, request: HttpRequest) -> QuerySet[PayloadTemplate]:
        """Return the templates with owner and active version."""
        return selectors.payload_templates()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": self._shown})]
        return self._sections

    # --- Changes ---

    def save_model(self, request: HttpRequest, obj: PayloadTemplate, form: Any, change: bool) -> None:
        """Create the template, or change it and add a version where its content is another, through the service."""
        if not change:
            obj.__dict__.update(services.create_template(form.template_values(), form.version_values()).__dict__)
            return
        services.update_template(obj, form.template_values())
        added, is_new = services.add_version(obj, form.version_values())
        if is_new:
            messages.info(request, f"Version {added.number} is active: webhooks send it from now on.")

    def delete_model(self, request: HttpRequest, obj: PayloadTemplate) -> None:
        """Delete the template through its service."""
        services.delete_template(obj)

    def buttons(self) -> list[Button]:
        """Return what can be done with a template."""
        return [Button("rollback", "Make active", "history", self._roll_back, lambda request, obj: obj.latest > 1, _older)]

    def _roll_back(self, request: HttpRequest, template: PayloadTemplate) -> HttpResponseBase:
        try:
            number = int(request.POST.get("version", ""))
        except ValueError:
            raise InvalidInput.of("version", "must be the number of a version.") from None
        services.roll_back(template, number)
        messages.success(request, f"Version {number} is active: webhooks send it from now on.")
        return HttpResponseRedirect(show.admin_url(PayloadTemplate, "change", template.pk))

    # --- Pages ---

    def get_urls(self) -> list[URLPattern]:
        """Add the preview and the comparison of versions."""
        name = "templates_app_payloadtemplate"
        own = [
            path("preview/", self.admin_site.admin_view(self.preview_view), name=f"{name}_preview"),
            path("<path:object_id>/diff/<int:number>/", self.admin_site.admin_view(self.diff_view), name=f"{name}_diff"),
        ]
        return [*own, *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """Put the versions above the form, and the preview below it."""
        template = kwargs.get("obj")
        if template is None or self.has_change_permission(request, template):
            shown = {"preview_url": show.admin_url(PayloadTemplate, "preview"), "preview_groups": preview_choices(self.who(request))}
            context |= {**shown, "preview_first": _preview_first(request, template), "edited": template}
        if template is not None:
            rows = Webhook.objects.filter(payload_template=template, deleted_at__isnull=True).only("id", "name")
            hooks = visible(rows, self.who(request))[:WEBHOOKS_SHOWN]
            listed = selectors.versions(template).order_by("-number")[:VERSIONS_SHOWN]
            context |= {
                "portal_panel": "portal/payload_panel.html",
                "versions": [(row, self._diff_url(template, row)) for row in listed],
                "used_by": [(hook.name, show.admin_url(Webhook, "change", hook.pk)) for hook in hooks],
            }
        return cast("HttpResponse", super().render_change_form(request, context, *args, **kwargs))

    def preview_view(self, request: HttpRequest) -> HttpResponseBase:
        """Answer htmx with what the form's content would send of the chosen event."""
        if request.method != "POST" or not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        try:
            context = self._previewed(request)
        except forms.ValidationError as error:
            context = {"problems": told(error.messages)}
        except RepoGuardError as error:
            context = {"problems": told([error.message])}
        return TemplateResponse(request, "portal/payload_preview.html", context)

    def _previewed(self, request: HttpRequest) -> dict[str, Any]:
        asked = request.POST
        edited = self.get_object(request, asked.get("edited", "")) if asked.get("edited") else None
        content_type = edited.content_type if edited else asked.get("content_type", ContentType.JSON)
        if content_type not in ContentType.values:
            raise InvalidInput.of("content_type", f"must be one of {', '.join(ContentType.values)}.")
        platform = edited.platform if edited else asked.get("platform", "")
        parts = preview_values(asked).parts(content_type)
        event_id, event_type = event_asked(asked.get("preview_event", _FIRST))
        event = selectors.event_for_preview(self.who(request), event_id=event_id, event_type=event_type)
        events = [name.strip() for name in asked.get("events", "*").split(",") if name.strip()]
        preview = selectors.preview(parts, event, platform=platform, events=events)
        return preview_context(preview, platform)

    def diff_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Show what changed from the version before to this one."""
        template = self.get_object(request, unquote(object_id))
        if template is None or not self.has_view_permission(request, template):
            raise Http404
        try:
            newer = selectors.version(template, number)
            older = selectors.version(template, max(1, number - 1))
        except RepoGuardError as error:
            raise Http404 from error
        lines = [(_tone(line), line) for line in selectors.diff(older, newer).splitlines()]
        context = {"lines": lines, "version": newer, "older": older, "back": show.admin_url(PayloadTemplate, "change", template.pk)}
        return self.page(request, "portal/payload_diff.html", f"{template.name}: version {number}", **context)

    def _diff_url(self, template: PayloadTemplate, row: TemplateVersion) -> str:
        base = show.admin_url(PayloadTemplate, "change", template.pk).removesuffix("change/")
        return f"{base}diff/{row.number}/" if row.number > 1 else ""

    # --- What is shown ---

    @admin.display(description="for")
    def shown_for(self, template: PayloadTemplate) -> Any:
        """Return what it is for."""
        return show.code(template.platform) if template.platform else "webhooks to a URL"

    @admin.display(description="version")
    def shown_version(self, template: PayloadTemplate) -> str:
        """Return which version is active."""
        return f"{template.active.number} of {template.latest}" if template.active else "none"

    @admin.display(description="owner")
    def shown_owner(self, template: PayloadTemplate) -> str:
        """Return whose it is."""
        return str(template.owner) if template.owner else "the admins"

    @admin.display(description="events")
    def shown_events(self, template: PayloadTemplate) -> SafeString:
        """Return what it is meant for."""
        return show.codes(template.events)

    @admin.display(description="body")
    def shown_body(self, template: PayloadTemplate) -> Any:
        """Return the body of the active version."""
        return show.block(template.active.body) if template.active else show.NOTHING

    @admin.display(description="headers")
    def shown_headers(self, template: PayloadTemplate) -> Any:
        """Return the headers of the active version."""
        return show.block(show.pretty(template.active.headers)) if template.active and template.active.headers else "none"

    @admin.display(description="added to the URL")
    def shown_added(self, template: PayloadTemplate) -> Any:
        """Return what the active version adds to the address."""
        active = template.active
        query = "&".join(f"{name}={value}" for name, value in active.url_query.items()) if active else ""
        return show.code(f"{active.url_path}{'?' if query else ''}{query}") if active and (active.url_path or query) else "nothing"


def _preview_first(request: HttpRequest, template: PayloadTemplate | None) -> str:
    """Return the event that the preview begins with: after a refusal the chosen one, else one that the template is meant for."""
    chosen, meant = request.POST.get("preview_event"), catalogue.find(example_type(template.events)) if template is not None else None
    return chosen or (meant.name if meant is not None else _FIRST)  # the choices are types; of a family the example has a name of its own


def _older(request: HttpRequest, template: PayloadTemplate) -> list[ButtonField]:
    rows = (
        selectors.versions(template).exclude(number=template.active.number if template.active else 0).order_by("-number")[:VERSIONS_SHOWN]
    )
    choices = tuple((str(row.number), f"version {row.number}{f': {row.note}' if row.note else ''}"[:60]) for row in rows)
    return [ButtonField("version", "another version", "select", choices=choices)]


def _tone(line: str) -> str:
    return "rg-good" if line.startswith("+") else "rg-bad" if line.startswith("-") else "rg-faint"
