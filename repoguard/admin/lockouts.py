"""Failed logins, and letting a locked-out person in again."""

from __future__ import annotations

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.safestring import SafeString

from access import audit
from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.buttons import Button
from access.choices import AuditVerb


@admin.register(AccessAttempt)
class LockoutAdmin(PortalAdmin):
    """Failed logins by user name and address; too many of them lock the pair out for a while."""

    empty_text = "Nobody is locked out."
    owner_path = None
    read_only = True
    list_display = ("username", "ip_address", "failures_since_start", "shown_state", "shown_time")
    search_fields = ("username", "ip_address")
    search_help_text = "user name or address"
    ordering = ("-attempt_time",)
    fields = ("username", "ip_address", "user_agent", "failures_since_start", "shown_state", "attempt_time")
    readonly_fields = fields

    def rows(self, request: HttpRequest) -> QuerySet[AccessAttempt]:
        """Return the failed logins without what was posted."""
        rows: QuerySet[AccessAttempt] = AccessAttempt.objects.defer("get_data", "post_data")
        return rows

    def buttons(self) -> list[Button]:
        """Return the reset."""
        return [Button("reset", "Let in again", "lock_open", self._reset)]

    def _reset(self, request: HttpRequest, attempt: AccessAttempt) -> HttpResponseBase:
        failures = attempt.failures_since_start
        audit.record(AuditVerb.ACTED, attempt, action="reset-lockout", changes={"failures": [failures, 0]}, owner_id=None)
        AccessAttempt.objects.filter(username=attempt.username, ip_address=attempt.ip_address).delete()
        messages.success(request, f"{attempt.username} may log in from {attempt.ip_address} again.")
        return HttpResponseRedirect(show.admin_url(AccessAttempt, "changelist"))

    @admin.display(description="state")
    def shown_state(self, attempt: AccessAttempt) -> SafeString:
        """Return whether it is locked out."""
        if attempt.failures_since_start < settings.AXES_FAILURE_LIMIT:
            return show.badge(f"{settings.AXES_FAILURE_LIMIT - attempt.failures_since_start} tries left")
        return show.badge(f"locked out for {settings.AXES_COOLOFF_TIME * 60:g} min", show.BAD)

    @admin.display(description="last failure")
    def shown_time(self, attempt: AccessAttempt) -> SafeString:
        """Return when it last failed."""
        return show.moment(attempt.attempt_time)
