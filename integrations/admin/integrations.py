"""Integrations in the admin: what there is and how it stands, and everything that can be done with one."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.buttons import Button
from access.admin_base.filters import choice_filter
from core.errors import InvalidInput
from core.http import pauses
from core.models import RequestLog
from core.models.outbound import CircuitState
from integrations import registry
from integrations.admin.choosing import CHOOSE, choices
from integrations.admin.health import STATES
from integrations.admin.integration_columns import IntegrationColumns
from integrations.admin.integration_form import PREFIX, IntegrationForm
from integrations.admin.integration_panel import panel
from integrations.admin.rotation import RotateForm
from integrations.admin.sources import source_links
from integrations.checking import can_check
from integrations.choices import Category, Criticality, Environment, Status
from integrations.contract.connector import Connector
from integrations.contract.scans import ScanSource
from integrations.models import Integration
from integrations.oauth.buttons import sign_in_buttons
from integrations.selectors.integrations import listed_integrations
from integrations.services import integrations as services
from integrations.services.circuits import reset_circuit

_SHOWN = (
    "name", "shown_type", "shown_environment", "shown_category", "shown_criticality", "shown_owner", "shown_config", "shown_credentials",
    "shown_limits", "shown_targets", "purpose", "exchanged_data", "shown_metadata",
)  # fmt: skip


@admin.register(Integration)
class IntegrationAdmin(IntegrationColumns, PortalAdmin):
    """Connections to other systems. Their credentials are entered and never shown again."""

    empty_text = "An integration is a connection to another system. Create one, or begin with a template."
    shows_id = True
    form = IntegrationForm
    list_display = (
        "name", "shown_state", "shown_type", "shown_environment", "shown_criticality", "shown_quota", "shown_last_call", "shown_owner",
    )  # fmt: skip
    list_filter = (
        choice_filter("type", "connector", lambda: [(connector.key, connector.title) for connector in registry.for_integrations()]),
        choice_filter("status", "status", Status.choices),
        choice_filter("shown_health", "health", STATES, "health"),
        choice_filter("environment", "environment", Environment.choices),
        choice_filter("category", "category", Category.choices),
        choice_filter("criticality", "criticality", Criticality.choices),
    )
    search_fields = ("name",)
    search_help_text = "name"
    ordering = ("-id",)
    readonly_fields = tuple(name for name in _SHOWN if name.startswith("shown_"))
    delete_consequence = (
        "Its credentials, its scan sources and the history of its health are removed, the log of its calls stays until its time. It is "
        "refused while webhooks send through it or endpoints can be called."
    )

    def rows(self, request: HttpRequest) -> QuerySet[Integration]:
        """Return the integrations with what the list shows; their credentials sealed."""
        return listed_integrations()

    # --- Forms ---

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form with the fields of the connector."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.connector = _connector(request, obj) or Connector
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        connector = _connector(request, obj)
        if connector is None or (obj is not None and not self.has_change_permission(request, obj)):
            return [(None, {"fields": _SHOWN})]
        return [
            (None, {"fields": ("name", "owner", "environment", "category", "criticality")}),
            (connector.title, {"fields": tuple(PREFIX + field.name for field in connector.fields)}),
            (
                "Limits and failures",
                {
                    "fields": (
                        "quota_limit", "quota_window_seconds", "rate_per_minute", "timeout_seconds", "breaker_failures",
                        "breaker_hold_seconds", "stale_seconds",
                    ),
                },
            ),
            ("Targets", {"fields": ("sla_availability", "sla_response_ms")}),
            ("For whoever looks after it", {"fields": ("purpose", "exchanged_data", "credentials_expire_at", "metadata")}),
        ]  # fmt: skip

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """First choose the connector, then fill in its form."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if _connector(request, None) is None:
            lead = (
                "What should be connected? Each connector asks for its own address and credentials on the next page. "
                "Templates, in the side bar, ask for less, and make the webhook as well."
            )
            return self.page(request, CHOOSE, "Add integration", connectors=choices(registry.for_integrations()), lead=lead)
        return super().add_view(request, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Integration, form: Any, change: bool) -> None:
        """Create or change the integration through its service."""
        values = form.values()
        if change:
            services.update_integration(obj, values, replace=True)
        else:
            created = services.create_integration(values)
            obj.__dict__.update(created.__dict__)

    def response_add(self, request: HttpRequest, obj: Integration, post_url_continue: str | None = None) -> HttpResponse:
        """Go to the new integration, where the connection can be tested."""
        messages.success(request, f"{obj.name} is stored. Nothing was called yet: press “Test connection” to see whether it works.")
        return HttpResponseRedirect(show.admin_url(Integration, "change", obj.pk))

    def delete_model(self, request: HttpRequest, obj: Integration) -> None:
        """Remove the integration through its service."""
        services.delete_integration(obj)

    # --- Buttons ---

    def buttons(self) -> list[Button]:
        """Return what can be done with an integration."""
        return [
            Button("test", "Test connection", "network_check", self._test, _can_check, tone="primary", calls_out=True),
            *sign_in_buttons(self),
            Button(
                "restore-credentials", "Restore old credentials", "undo", self._restore, _has_previous,
                confirm="Put the old credentials back? The present ones are kept until the overlap ends, so this can be undone.",
            ),
            Button("reset-breaker", "Reset breaker", "restart_alt", self._reset, _is_held),
            Button("activate", "Activate", "play_arrow", self._activate, lambda request, row: row.status != Status.ACTIVE),
            Button(
                "deactivate", "Deactivate", "pause", self._deactivate, lambda request, row: row.status == Status.ACTIVE,
                confirm="Deactivate it? Nothing is called or checked any more, and gateway calls are refused.",
            ),
        ]  # fmt: skip

    def _test(self, request: HttpRequest, integration: Integration) -> HttpResponseBase:
        report = services.test_integration(integration)
        details = ", ".join(f"{name}: {value}" for name, value in report.details.items())
        took = f" ({report.duration_ms:.0f} ms{'; ' + details if details else ''})"
        (messages.success if report.ok else messages.error)(request, report.message + took)
        return _to(integration)

    def _restore(self, request: HttpRequest, integration: Integration) -> HttpResponseBase:
        services.restore_credentials(integration)
        messages.success(request, "The old credentials are back in use. Test the connection to see whether they still work.")
        return _to(integration)

    def _reset(self, request: HttpRequest, integration: Integration) -> HttpResponseBase:
        reset_circuit(integration)
        messages.success(request, "Calls go through again; after further failures the breaker opens anew.")
        return _to(integration)

    def _activate(self, request: HttpRequest, integration: Integration) -> HttpResponseBase:
        services.activate(integration)
        messages.success(request, f"{integration.name} is active.")
        return _to(integration)

    def _deactivate(self, request: HttpRequest, integration: Integration) -> HttpResponseBase:
        services.deactivate(integration)
        messages.success(request, f"{integration.name} is inactive: nothing is called or checked any more.")
        return _to(integration)

    # --- Pages ---

    def get_urls(self) -> list[URLPattern]:
        """Add the page of a rotation."""
        own = path("<path:object_id>/rotate/", self.admin_site.admin_view(self.rotate_view), name="integrations_integration_rotate")
        return [own, *super().get_urls()]

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Ask for new credentials, try them and store them; no transaction is open while they are tried."""
        integration = self.get_object(request, unquote(object_id))
        if integration is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if not self.may_act(request, integration):
            raise PermissionDenied
        form = RotateForm(integration, request.POST if request.method == "POST" else None)
        if not form.has_secrets:
            messages.info(request, "This integration uses no credentials, so there is nothing to rotate.")
            return _to(integration)
        if request.method == "POST" and form.is_valid() and (sentence := form.rotate()):
            messages.success(request, sentence)
            return _to(integration)
        return self.page(
            request, "portal/rotate_credentials.html", f"Rotate credentials of {integration.name}",
            form=form, original=integration, back=show.admin_url(Integration, "change", integration.pk), testable=can_check(integration),
        )  # fmt: skip

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """Put above the form how the integration stands."""
        obj = kwargs.get("obj")
        if obj is None and (connector := _connector(request, None)) is not None:
            context |= {"title": f"Add integration: {connector.title}", "show_save_and_add_another": False}
        if obj is not None:
            log = f"{show.admin_url(RequestLog, 'changelist')}?integration={obj.pk}"
            links = [(log, "View calls", "list_alt")]
            if self.may_act(request, obj) and RotateForm(obj).has_secrets:
                links.insert(0, (show.admin_url(Integration, "rotate", obj.pk), "Rotate credentials", "sync_lock"))
            if issubclass(_connector(request, obj) or Connector, ScanSource):
                links += source_links(self.may_act(request, obj), integration=obj.pk)
            context |= {"portal_panel": "portal/integration_panel.html", "portal_links": links, **panel(obj, log, self.who(request))}
        return cast("HttpResponse", super().render_change_form(request, context, *args, **kwargs))


def _connector(request: HttpRequest, obj: Any) -> type[Connector] | None:
    """Return the connector of an integration, or the one that was chosen for a new one."""
    key = obj.type if obj is not None else request.GET.get("type", "")
    try:
        return registry.find(key)
    except InvalidInput:
        return None


def _to(integration: Integration) -> HttpResponseRedirect:
    return HttpResponseRedirect(show.admin_url(Integration, "change", integration.pk))


def _can_check(request: HttpRequest, integration: Integration) -> bool:
    return _connector(request, integration) is not None and can_check(integration)


def _has_previous(request: HttpRequest, integration: Integration) -> bool:
    return integration.previous_until is not None and integration.previous_until > timezone.now()


def _is_held(request: HttpRequest, integration: Integration) -> bool:
    return integration.circuit_state != CircuitState.CLOSED or pauses.remaining(integration.pk) > 0  # type: ignore[attr-defined]  # annotated
