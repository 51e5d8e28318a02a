"""Endpoints in the admin: what teams may call, and trying it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.buttons import Button, ButtonField
from access.admin_base.filters import choice_filter
from core.errors import InvalidInput, RepoGuardError
from core.models import RequestLog
from integrations.admin.call_filters import IntegrationFilter
from integrations.admin.endpoint_form import EndpointForm, parse_json
from integrations.choices import Status
from integrations.gateway import endpoints as services
from integrations.gateway.answer import BodyKind
from integrations.gateway.call import call_endpoint
from integrations.gateway.examples import example_of
from integrations.gateway.openapi import needed_scope, path_of
from integrations.gateway.paths import check_template
from integrations.models import Endpoint, Integration
from integrations.models.endpoint import Method


@admin.register(Endpoint)
class EndpointAdmin(PortalAdmin):
    """Named calls that teams make through an integration, without its credentials."""

    empty_text = "An endpoint is a named call that teams make through an integration, without its credentials."
    form = EndpointForm
    owner_path = "integration__owner_id"
    list_display = ("name", "shown_call", "shown_integration", "shown_needs", "shown_cache", "shown_enabled", "shown_owner")
    list_filter = (IntegrationFilter, choice_filter("method", "method", Method.choices))
    search_fields = ("name", "path", "integration__name")
    search_help_text = "name, path or integration"
    ordering = ("-id",)
    delete_consequence = "Whoever calls it gets a 404 from now on. To pause it, switch it off instead."
    readonly_fields = (
        "shown_integration", "shown_call", "shown_parameters", "shown_body", "shown_fixed", "shown_needs", "shown_cache", "shown_enabled",
    )  # fmt: skip
    _shown = ("name", "description", *readonly_fields)
    _sections = (
        (None, {"fields": ("integration", "name", "description")}),
        ("The call", {"fields": ("method", "path", "parameters", "body_schema", "fixed_query")}),
        ("Terms", {"fields": ("scope", "cache_seconds", "enabled")}),
    )

    def rows(self, request: HttpRequest) -> QuerySet[Endpoint]:
        """Return the endpoints with their integrations and owners."""
        rows = Endpoint.objects.select_related("integration__owner__user", "integration__owner__team")
        return rows.defer("integration__credentials", "integration__previous_credentials")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": self._shown})]
        return self._sections

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Choose the integration that the address names."""
        return {"integration": request.GET.get("integration", "")[:36]}

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        """Create or change the endpoint through its service."""
        if change:
            services.update_endpoint(obj, form.values())
        else:
            obj.__dict__.update(services.create_endpoint(form.cleaned_data["integration"], form.values()).__dict__)

    def delete_model(self, request: HttpRequest, obj: Endpoint) -> None:
        """Remove the endpoint through its service."""
        services.delete_endpoint(obj)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """Put how it is called above its form."""
        obj = kwargs.get("obj")
        if obj is not None:
            log = f"{show.admin_url(RequestLog, 'changelist')}?integration={obj.integration_id}&endpoint={obj.name}"
            context |= {
                "portal_panel": "portal/endpoint_panel.html",
                "needs": _needs(obj),
                "curl": _curl(obj),
                "portal_links": [(log, "View its calls", "call_made")],
            }
        return cast("HttpResponse", super().render_change_form(request, context, *args, **kwargs))

    # --- Trying it ---

    def buttons(self) -> list[Button]:
        """Return what can be done with an endpoint."""
        return [Button("try", "Call it", "play_arrow", self._try, _can_be_called, _try_fields, tone="primary", calls_out=True)]

    def _try(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponseBase:
        back = show.admin_url(Endpoint, "change", endpoint.pk)
        title = f"{endpoint.method} {endpoint.path or '/'} through {endpoint.integration.name}"
        try:
            values = {name: _value(request, name) for name in ("parameters", "body")}
            answer = call_endpoint(endpoint, values["parameters"] or {}, values["body"])
        except RepoGuardError as error:
            shown = {"error": error, "sentences": _sentences(error), "portal_buttons": self.shown_buttons(request, endpoint)}
            return self.page(request, "portal/endpoint_answer.html", title, **shown, back=back, original=endpoint)
        body = show.pretty(answer.body) if answer.body_kind == BodyKind.JSON else show.cut(str(answer.body or ""))
        return self.page(request, "portal/endpoint_answer.html", title, answer=answer, body=body, back=back, original=endpoint)

    # --- What is shown ---

    @admin.display(description="integration", ordering="integration__name")
    def shown_integration(self, endpoint: Endpoint) -> SafeString:
        """Return whose it is, as a link."""
        return show.link(show.admin_url(Integration, "change", endpoint.integration_id), endpoint.integration.name)

    @admin.display(description="call", ordering="path")
    def shown_call(self, endpoint: Endpoint) -> SafeString:
        """Return method and path."""
        return format_html('<span class="rg-nowrap">{} {}</span>', endpoint.method, show.code(endpoint.path or "/"))

    @admin.display(description="needs")
    def shown_needs(self, endpoint: Endpoint) -> SafeString:
        """Return the scopes that a caller needs."""
        return show.codes(_needs(endpoint))

    @admin.display(description="reused for", ordering="cache_seconds")
    def shown_cache(self, endpoint: Endpoint) -> Any:
        """Return how long an answer is reused."""
        return show.duration(endpoint.cache_seconds) if endpoint.cache_seconds else show.NOTHING

    @admin.display(description="state", ordering="enabled")
    def shown_enabled(self, endpoint: Endpoint) -> SafeString:
        """Return whether it can be called."""
        if not endpoint.enabled:
            return show.badge("switched off")
        if endpoint.integration.status != Status.ACTIVE:
            return show.badge("integration inactive", show.WARN)
        return show.badge("on", show.GOOD)

    @admin.display(description="owner")
    def shown_owner(self, endpoint: Endpoint) -> str:
        """Return whose its integration is."""
        return str(endpoint.integration.owner) if endpoint.integration.owner else "the admins"

    @admin.display(description="parameters")
    def shown_parameters(self, endpoint: Endpoint) -> Any:
        """Return the schema."""
        return show.block(show.pretty(endpoint.parameters)) if endpoint.parameters else "none"

    @admin.display(description="body")
    def shown_body(self, endpoint: Endpoint) -> Any:
        """Return the schema."""
        return show.block(show.pretty(endpoint.body_schema)) if endpoint.body_schema is not None else "none is taken"

    @admin.display(description="fixed query")
    def shown_fixed(self, endpoint: Endpoint) -> Any:
        """Return what goes with every call."""
        return show.block(show.pretty(endpoint.fixed_query)) if endpoint.fixed_query else "none"


def _needs(endpoint: Endpoint) -> list[str]:
    return [needed_scope(endpoint), *([endpoint.scope] if endpoint.scope else [])]


def _example(endpoint: Endpoint, unknown: str = "…") -> dict[str, Any]:
    names = list(dict.fromkeys([*check_template(endpoint.path), *endpoint.parameters.get("required", [])]))
    found: dict[str, Any] = example_of({"type": "object", **endpoint.parameters, "required": names}, unknown)
    return found


def _curl(endpoint: Endpoint) -> str:
    data: dict[str, Any] = {"parameters": _example(endpoint)}
    if endpoint.body_schema is not None:
        data["body"] = _body(endpoint)
    url = f"{settings.PUBLIC_URL.rstrip('/')}{path_of(endpoint)}"
    sent = shlex.quote(json.dumps(data, ensure_ascii=False))
    return f'curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n  -d {sent} \\\n  {url}'


def _body(endpoint: Endpoint, unknown: str = "…") -> Any:
    """Return an example of the body; an object where nothing is known of it."""
    return example_of(endpoint.body_schema or {"type": "object"}, unknown)


def _can_be_called(request: HttpRequest, endpoint: Endpoint) -> bool:
    return endpoint.enabled and endpoint.integration.status == Status.ACTIVE


def _try_fields(request: HttpRequest, endpoint: Endpoint) -> list[ButtonField]:
    fields = []
    if endpoint.parameters.get("properties"):
        fields.append(ButtonField("parameters", "parameters", "text", json.dumps(_example(endpoint, ""), ensure_ascii=False)))
    if endpoint.body_schema is not None:
        fields.append(ButtonField("body", "body", "text", json.dumps(_body(endpoint, ""), ensure_ascii=False)))
    typed = request.POST if request.method == "POST" else {}
    return [replace(field, value=typed.get(field.name, field.value)) for field in fields]


def _sentences(error: RepoGuardError) -> list[str]:
    """Return what is wrong, each sentence once: the message of wrong input only repeats those of its fields."""
    said = [f"{name[:1].upper()}{name[1:]}: {' '.join(map(str, sentences))}" for name, sentences in error.fields.items()]
    return said if said and isinstance(error, InvalidInput) else [error.message, *said]


def _value(request: HttpRequest, name: str) -> Any:
    text = request.POST.get(name, "").strip()
    try:
        return parse_json(text) if text else None
    except forms.ValidationError as error:
        raise InvalidInput.of(name, error.messages[0]) from None
