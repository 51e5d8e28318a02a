"""The thresholds that admins change while the portal runs."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from access import audit
from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.choices import AuditVerb
from core import runtime
from core.models import RuntimeSettings


class RuntimeSettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    """The fields in words, each with its unit."""

    class Meta:
        labels: ClassVar = {
            "request_timeout_seconds": "A whole request takes at most (seconds)",
            "connect_timeout_seconds": "Connecting takes at most (seconds)",
            "response_body_bytes": "Kept of the body of an answer (bytes)",
            "log_request_bodies": "Sent bodies in the delivery log",
            "teams_register_repositories": "Teams register repositories",
            "breaker_failures": "Failures in a row before a hold",
            "breaker_first_hold_seconds": "First hold (seconds)",
            "breaker_longest_hold_seconds": "Longest hold (seconds)",
            "disable_after_hours": "Disabled after failing for (hours)",
            "secret_overlap_hours": "Old webhook secrets sign for (hours)",
            "credentials_overlap_hours": "Old credentials are kept for (hours)",
            "credentials_warning_days": "Warning before credentials end (days)",
            "check_minutes_critical": "Checks of critical integrations, every (minutes)",
            "check_minutes_important": "Checks of important integrations, every (minutes)",
            "check_minutes_optional": "Checks of optional integrations, every (minutes)",
            "quota_warning_percent": "Warning when a quota is used to (percent)",
            "delivery_retention_days": "Deliveries (days)",
            "event_retention_days": "Events (days)",
            "receipt_retention_days": "Inbound requests (days)",
            "audit_retention_days": "Audit log (days)",
            "usage_retention_days": "Use of API keys (days)",
            "request_log_retention_days": "Outbound calls (days)",
            "build_retention_days": "Builds (days)",
            "build_import_retention_days": "Imports of builds (days)",
            "analysis_retention_days": "Analyses (days)",
            "commit_retention_days": "Pushed commits (days)",
            "health_retention_days": "Single health checks (days)",
        }


@admin.register(RuntimeSettings)
class RuntimeSettingsAdmin(PortalAdmin):
    """One row; what it does not hold yet has its default."""

    form = RuntimeSettingsForm
    owner_path = None
    fieldsets = (
        (
            "Requests to webhooks",
            {"fields": ("request_timeout_seconds", "connect_timeout_seconds", "response_body_bytes", "log_request_bodies")},
        ),
        (
            "Failing webhooks",
            {"fields": ("breaker_failures", "breaker_first_hold_seconds", "breaker_longest_hold_seconds", "disable_after_hours")},
        ),
        ("Repositories", {"fields": ("teams_register_repositories",)}),
        ("Secrets", {"fields": ("secret_overlap_hours", "credentials_overlap_hours", "credentials_warning_days")}),
        (
            "Checks of integrations",
            {"fields": ("check_minutes_critical", "check_minutes_important", "check_minutes_optional", "quota_warning_percent")},
        ),
        (
            "How long logs are kept",
            {
                "fields": (
                    "delivery_retention_days",
                    "event_retention_days",
                    "audit_retention_days",
                    "usage_retention_days",
                    "request_log_retention_days",
                    "receipt_retention_days",
                    "build_retention_days",
                    "build_import_retention_days",
                    "analysis_retention_days",
                    "commit_retention_days",
                    "health_retention_days",
                )
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: there is one row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no: there is one row."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Go to the row."""
        return HttpResponseRedirect(show.admin_url(RuntimeSettings, "change", 1))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> RuntimeSettings | None:
        """Return the row, or the defaults where nobody has saved it yet."""
        if str(object_id) != "1" or not self.has_view_permission(request):
            return None
        return RuntimeSettings.objects.filter(pk=1).first() or RuntimeSettings(pk=1)

    def save_model(self, request: HttpRequest, obj: RuntimeSettings, form: Any, change: bool) -> None:
        """Store what was changed, audited, and let every process read it again."""
        stored = RuntimeSettings.objects.select_for_update().filter(pk=1).first()
        changes = audit.diff(audit.snapshot(stored or RuntimeSettings(pk=1)), audit.snapshot(obj))
        obj.save(force_insert=stored is None, update_fields=None if stored is None else list(changes))
        if changes:
            audit.record(AuditVerb.CHANGED, obj, changes=changes)
        transaction.on_commit(runtime.forget)

    def response_change(self, request: HttpRequest, obj: RuntimeSettings) -> HttpResponse:
        """Stay on the page."""
        seconds = runtime.CACHE_SECONDS
        messages.success(request, f"Saved. It is in force here at once, and in every other process within {seconds:g} seconds.")
        return HttpResponseRedirect(show.admin_url(RuntimeSettings, "change", 1))
