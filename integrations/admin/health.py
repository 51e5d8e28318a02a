"""Health of integrations in the admin: who needs a look, and one page for each with its charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.filters import choice_filter
from integrations.admin.health_charts import availability_chart, latest_bars, milliseconds, response_chart
from integrations.choices import Condition, Criticality, HealthState, Status
from integrations.health.report import DEFAULT_DAYS, Report, is_checked, recent_failures, report_of, since, with_circuit
from integrations.health.states import condition_of
from integrations.models import HealthSample, Integration, IntegrationHealth

TONES = {
    Condition.HEALTHY: show.GOOD,
    Condition.SLOW: show.WARN,
    Condition.CHECKS_FAIL: show.WARN,
    Condition.CALLS_FAIL: show.BAD,
    Condition.UNHEALTHY: show.BAD,
    Condition.UNKNOWN: show.INFO,
    Condition.NEVER_WORKED: show.WARN,
}
STATES = [
    (HealthState.HEALTHY.value, "healthy"),
    (HealthState.DEGRADED.value, "slow"),
    (HealthState.UNHEALTHY.value, "unhealthy or calls failing"),
    (HealthState.UNKNOWN.value, "not checked yet"),
]
LATEST, TABLE_DAYS = 96, 14


@dataclass(frozen=True)
class Standing:
    """A word, its tone, and what there is to say about it."""

    word: str
    tone: str
    sentence: str


def standing(health: IntegrationHealth, *, circuit_open: bool | None = None) -> Standing:
    """Return how an integration stands; its row must be loaded with it. `circuit_open` is asked of the row where it is not given."""
    integration = health.integration
    if integration.status != Status.ACTIVE:
        return Standing("inactive", show.QUIET, "It is switched off, so it is not checked. Activate it to have it checked again.")
    is_open = getattr(health, "circuit_open", False) if circuit_open is None else circuit_open
    found = condition_of(health.state, health.consecutive_failures, breaker_open=is_open)
    if found == Condition.UNKNOWN and not is_checked(integration):
        return Standing("not checkable", show.QUIET, "Its connector has no connection test, so nothing is known of its health.")
    failing = found in (Condition.UNHEALTHY, Condition.CALLS_FAIL)
    if health.not_measured and not failing:
        return Standing(
            "not measured", show.WARN, f"{health.not_measured} That is the portal's fault, not the service's: it does not count."
        )
    last = getattr(health, "circuit_error", None) or ""
    sentences = {
        Condition.HEALTHY: "The last checks succeeded.",
        Condition.SLOW: f"It answers, but slower than its target of {milliseconds(integration.sla_response_ms)}.",
        Condition.CALLS_FAIL: f"Its calls failed repeatedly, so its breaker is open and refuses them for now. {last}".strip(),
        Condition.UNKNOWN: "It has not been checked yet; the first check comes within a minute or two.",
    }
    sentence = sentences.get(found) or f"{_failures(health)} {health.last_error}{_unmeasured(health)}".strip()
    return Standing(str(found.label), TONES[found], sentence)


def _unmeasured(health: IntegrationHealth) -> str:
    return f" Since then the portal itself was at fault: {health.not_measured}" if health.not_measured else ""


def _failures(health: IntegrationHealth) -> str:
    number = health.consecutive_failures
    return (
        f"{number} checks in a row failed." if number > 1 else "The last check failed." if number else "It was down until the last check."
    )


@admin.register(IntegrationHealth)
class HealthAdmin(PortalAdmin):
    """Where every integration stands; the rows that need somebody come first."""

    empty_text = "Every active integration is checked regularly; its health is here after its first check."
    owner_path = "integration__owner_id"
    read_only = True
    list_display = ("shown_name", "shown_state", "shown_since", "shown_last", "shown_criticality", "shown_owner", "shown_error")
    list_filter = (
        choice_filter("shown_state", "state", STATES, "state"),
        choice_filter("integration__criticality", "criticality", Criticality.choices, "criticality"),
    )
    search_fields = ("integration__name",)
    search_help_text = "name of the integration"
    sortable_by = ()

    def rows(self, request: HttpRequest) -> QuerySet[IntegrationHealth]:
        """Return the health rows with their integrations, never their credentials."""
        order = (HealthState.UNHEALTHY, HealthState.DEGRADED, HealthState.UNKNOWN, HealthState.HEALTHY)
        rank = Case(
            *(When(integration__status=Status.ACTIVE, shown_state=state, then=Value(place)) for place, state in enumerate(order)),
            default=Value(len(order)),
            output_field=IntegerField(),
        )
        rows = with_circuit(IntegrationHealth.objects.all()).select_related("integration__owner__user", "integration__owner__team")
        ranked: QuerySet[IntegrationHealth] = rows.defer("integration__credentials", "integration__previous_credentials").annotate(
            rank=rank
        )
        return ranked

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return those in trouble first."""
        return ("rank", "integration__name", "pk")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the health of one integration."""
        health = self.get_object(request, unquote(object_id))
        if health is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, health):
            raise PermissionDenied
        integration = health.integration
        return self.page(request, "portal/integration_health.html", "Health", subtitle=integration.name, **_context(health, integration))

    # --- Columns ---

    @admin.display(description="integration")
    def shown_name(self, health: IntegrationHealth) -> str:
        """Return its name."""
        return health.integration.name

    @admin.display(description="state")
    def shown_state(self, health: IntegrationHealth) -> SafeString:
        """Return how it stands."""
        found = standing(health)
        return show.badge(found.word, found.tone, found.sentence)

    @admin.display(description="since")
    def shown_since(self, health: IntegrationHealth) -> SafeString:
        """Return since when."""
        return show.moment(since(health))

    @admin.display(description="last check")
    def shown_last(self, health: IntegrationHealth) -> SafeString:
        """Return when it was last checked."""
        return show.moment(health.last_checked_at)

    @admin.display(description="criticality")
    def shown_criticality(self, health: IntegrationHealth) -> str:
        """Return how much depends on it."""
        return str(Criticality(health.integration.criticality).label)

    @admin.display(description="owner")
    def shown_owner(self, health: IntegrationHealth) -> str:
        """Return whose it is."""
        return str(health.integration.owner) if health.integration.owner else "the admins"

    @admin.display(description="what is wrong")
    def shown_error(self, health: IntegrationHealth) -> SafeString:
        """Return the last error: of its checks, or else of its calls while its breaker is not closed."""
        error = health.not_measured or health.last_error or health.circuit_error  # type: ignore[attr-defined]  # annotated
        if not error:
            return show.NOTHING
        return format_html('<span title="{}">{}</span>', error, error if len(error) <= 90 else f"{error[:89]}…")


def _context(health: IntegrationHealth, integration: Integration) -> dict[str, Any]:
    report = report_of(integration, DEFAULT_DAYS)
    latest = list(HealthSample.objects.filter(integration=integration).order_by("-id")[:LATEST])
    return {
        "health": health,
        "integration": integration,
        "standing": standing(health),
        "report": report,
        "sums": _sums(report),
        "days": [_row(day, integration) for day in report.days[:TABLE_DAYS]],
        "response_chart": response_chart(report.days, integration.sla_response_ms),
        "availability_chart": availability_chart(report.days, integration.sla_availability),
        "latest": latest_bars(latest),
        "failures": recent_failures(integration.id, 12),
        "integration_url": _integration_url(integration),
    }


def _sums(report: Report) -> dict[str, Any]:
    total, target = report.total, report.integration.sla_availability
    return {
        "availability": total.availability,
        "met": total.available_enough(target),
        "budget": report.budget,
        "checks": total.checks,
        "unmeasured": total.unmeasured,
    }


def _row(day: Any, integration: Integration) -> dict[str, Any]:
    return {
        "day": day,
        "availability_met": day.available_enough(integration.sla_availability),
        "response_met": day.fast_enough(integration.sla_response_ms),
    }


def _integration_url(integration: Integration) -> str:
    return show.admin_url(Integration, "change", integration.pk) if Integration in admin.site._registry else ""
