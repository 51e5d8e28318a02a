"""The gallery of templates, and setting something up with one: form, test, exact preview, and then all at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.filters import choice_filter
from core.errors import RepoGuardError
from integrations import registry
from integrations.checking import CheckReport
from integrations.choices import Category
from integrations.contract.connector import Checker
from integrations.contract.schema import counted_from_one
from templates_app import services
from templates_app.asked import as_fields
from templates_app.models import IntegrationTemplate
from templates_app.selectors import all_templates, usable
from webhooks.admin.made import made_context, shown
from webhooks.admin.template_forms import TemplateForm, UseForm
from webhooks.services.templates import CONNECTED, instantiate, try_out

TEST = "test"


def _connectors() -> list[tuple[str, str]]:
    return [(connector.key, connector.title) for connector in registry.for_integrations()]


@admin.register(IntegrationTemplate)
class TemplateAdmin(PortalAdmin):
    """Blueprints: built-in ones, public ones and one's own."""

    shows_id = True
    form = TemplateForm
    change_list_template = "portal/template_gallery.html"
    list_display = ("name",)
    list_filter = (choice_filter("type", "connector", _connectors),)
    search_fields = ("name", "description")
    search_help_text = "name or description"
    ordering = ("name", "id")
    list_per_page = 200
    delete_consequence = "What was set up with it stays."
    fields = ("name", "type", "description", "is_public", "owner", "config", "endpoints", "webhooks")
    readonly_fields = ("shown_asked", "shown_config", "shown_endpoints", "shown_webhooks")
    _shown = ("name", "description", "is_public", *readonly_fields)

    # --- Who may what ---

    def rows(self, request: HttpRequest) -> QuerySet[IntegrationTemplate]:
        """Return the templates with their owners."""
        return all_templates()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return public templates and the caller's own."""
        return usable(self.rows(request), self.who(request))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let everybody look at public ones."""
        seen = obj is None or obj.is_public or self.who(request).owns(obj.owner_id)
        return bool(seen) and super().has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep built-in ones as they are."""
        return (obj is None or obj.key is None) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep built-in ones."""
        return (obj is None or obj.key is None) and super().has_delete_permission(request, obj)

    def may_use(self, request: HttpRequest, template: IntegrationTemplate | None = None) -> bool:
        """Say whether the caller may make integrations, and webhooks where the template has some."""
        makes = ["integrations.add_integration", *(["webhooks.add_webhook"] if template is not None and template.webhooks else [])]
        return self._may_write(request) and all(request.user.has_perm(name) for name in makes)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": self._shown})]
        return [(None, {"fields": self.fields})]

    # --- Changes ---

    def save_model(self, request: HttpRequest, obj: IntegrationTemplate, form: Any, change: bool) -> None:
        """Create or change the template through its service."""
        if change:
            services.update_template(obj, form.values())
        else:
            obj.__dict__.update(services.create_template(form.values()).__dict__)

    def delete_model(self, request: HttpRequest, obj: IntegrationTemplate) -> None:
        """Delete the template through its service."""
        services.delete_template(obj)

    # --- Pages ---

    def get_urls(self) -> list[URLPattern]:
        """Add the pages for using and exporting a template."""
        name = "templates_app_integrationtemplate"
        own = [
            path("<path:object_id>/use/", self.admin_site.admin_view(self.use_view), name=f"{name}_use"),
            path("<path:object_id>/export/", self.admin_site.admin_view(self.export_view), name=f"{name}_export"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the templates as cards, by what they are for."""
        response = super().changelist_view(request, extra_context)
        changes = getattr(response, "context_data", None) or {}
        if "cl" in changes:
            response.context_data |= {"groups": _groups(changes["cl"].result_list, partial(self.may_use, request))}
        return response

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """Offer to use and to export the template."""
        obj = kwargs.get("obj")
        if obj is not None:
            links = [(show.admin_url(IntegrationTemplate, "export", obj.pk), "Export as JSON", "download")]
            if registry.has(obj.type) and self.may_use(request, obj):
                links.insert(0, (show.admin_url(IntegrationTemplate, "use", obj.pk), "Use this template", "rocket_launch"))
            context |= {"portal_links": links}
        return cast("HttpResponse", super().render_change_form(request, context, *args, **kwargs))

    def export_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer the template as a file."""
        template = self._usable(request, object_id)
        options = {"indent": 2, "ensure_ascii": False}
        name = f"{template.key or template.pk}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return JsonResponse(services.export_template(template), json_dumps_params=options, headers=headers)

    def use_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Ask for the values; answer htmx with a preview, and a plain POST by making it all."""
        template = self._usable(request, object_id)
        if not self.may_use(request, template):
            raise PermissionDenied
        back = show.admin_url(IntegrationTemplate, "changelist")
        if not registry.has(template.type):
            messages.error(request, f"This release has no connector {template.type}, so {template.name} can't be used.")
            return HttpResponseRedirect(back)
        form = UseForm(template, self.who(request), request.POST or None)
        if request.headers.get("HX-Request") == "true":
            return TemplateResponse(request, "portal/template_preview.html", self._preview(request, template, form))
        problems: list[tuple[str, str]] = []
        if request.method == "POST" and form.is_valid():
            try:
                made = instantiate(template, form.cleaned_data["name"], form.values(), form.cleaned_data["owner"])
            except RepoGuardError as error:
                problems = _problems(error, form)
            else:
                return self.page(request, "portal/template_made.html", f"{made.integration.name} is set up", **made_context(made))
        can_test = registry.find(template.type) in registry.with_capability(Checker)
        context = {"blueprint": template, "form": form, "problems": problems, "back": back, "can_test": can_test}
        return self.page(request, "portal/template_use.html", f"Set up: {template.name}", **context)

    def _preview(self, request: HttpRequest, template: IntegrationTemplate, form: UseForm) -> dict[str, Any]:
        """Return what the preview shows: errors, or what would be made, and what a test found."""
        if not form.is_valid():
            errors = [(form[name].label.removesuffix(" *"), sentence) for name, sentences in form.errors.items() for sentence in sentences]
            return {"problems": errors}
        arguments = (template, form.cleaned_data["name"], form.values(), form.cleaned_data["owner"])
        report: CheckReport | None = None
        try:
            if request.POST.get("step") == TEST:
                report = try_out(*arguments)
            made = instantiate(*arguments, dry_run=True)
        except RepoGuardError as error:
            return {"problems": _problems(error, form)}
        return {"made": shown(made), "report": report, "tested": request.POST.get("step") == TEST}

    def _usable(self, request: HttpRequest, object_id: str) -> IntegrationTemplate:
        template = self.get_object(request, unquote(object_id))
        if template is None or not self.has_view_permission(request, template):
            raise Http404
        return cast("IntegrationTemplate", template)

    # --- What is shown to those who only read ---

    @admin.display(description="asks for")
    def shown_asked(self, template: IntegrationTemplate) -> Any:
        """Return the values that are asked for."""
        return show.codes(field.title for field in as_fields(template.config))

    @admin.display(description="values and integration")
    def shown_config(self, template: IntegrationTemplate) -> Any:
        """Return the blueprint of the integration."""
        return show.block(show.pretty(template.config))

    @admin.display(description="endpoints")
    def shown_endpoints(self, template: IntegrationTemplate) -> Any:
        """Return the endpoints."""
        return show.block(show.pretty(template.endpoints)) if template.endpoints else "none"

    @admin.display(description="webhooks")
    def shown_webhooks(self, template: IntegrationTemplate) -> Any:
        """Return the webhooks."""
        return show.block(show.pretty(template.webhooks)) if template.webhooks else "none"


def _groups(templates: Any, may_use: Callable[[IntegrationTemplate], bool]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the cards by category, in the order of the categories."""
    found: dict[str, list[dict[str, Any]]] = {}
    titles = dict(_connectors())
    for template in templates:
        found.setdefault(_category(template), []).append(
            {
                "template": template,
                "connector": titles.get(template.type, template.type),
                "parts": _parts(template),
                "use": show.admin_url(IntegrationTemplate, "use", template.pk) if registry.has(template.type) and may_use(template) else "",
                "url": show.admin_url(IntegrationTemplate, "change", template.pk),
            }
        )
    return [(str(label), found[value]) for value, label in Category.choices if value in found]


def _category(template: IntegrationTemplate) -> str:
    named = template.config.get("integration", {}).get("category")
    if named in Category.values:
        return str(named)
    return (registry.find(template.type).categories[0] if registry.has(template.type) else Category.DEVELOPMENT).value


def _parts(template: IntegrationTemplate) -> str:
    parts = ["an integration"]
    for number, word in ((len(template.endpoints), "endpoint"), (len(template.webhooks), "webhook")):
        if number:
            parts.append(f"{number} {word}{'' if number == 1 else 's'}")
    return ", ".join(parts)


def _problems(error: RepoGuardError, form: UseForm) -> list[tuple[str, str]]:
    titles = form.titles()
    if not error.fields:
        return [("", error.message)]
    said = [(titles.get(name, name), counted_from_one(sentence)) for name, sentences in error.fields.items() for sentence in sentences]
    # that webhooks wait for the integration helps nobody who reads what is wrong with it
    return [one for one in said if one[1] != CONNECTED] or said
