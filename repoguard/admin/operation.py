"""Who is working, and the regular jobs: read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Case, QuerySet, Value, When
from django.db.models.fields import BooleanField
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin, PortalAdmin
from access.admin_base.filters import choice_filter
from core import leases
from core.models import Housekeeping, Worker
from core.models.work import WorkState

KINDS = {
    "deliveries": "sends webhooks",
    "work": "runs claimed work such as housekeeping",
    "cluster:default": "background tasks, as a whole",
    "cluster:deliveries": "delivery processes, as a whole",
}
_STATES = {WorkState.DONE: show.GOOD, WorkState.FAILED: show.BAD, WorkState.RUNNING: show.INFO}


@admin.register(Worker)
class WorkerAdmin(PortalAdmin):
    """Processes with a heartbeat."""

    empty_text = "No worker runs: nothing is delivered or checked. Start the portal's workers."
    owner_path = None
    read_only = True
    list_display = ("kind", "shown_task", "shown_state", "host", "pid", "shown_start", "shown_beat")
    list_display_links = None
    ordering = ("kind", "-heartbeat_at")
    search_fields = ()

    def rows(self, request: HttpRequest) -> QuerySet[Worker]:
        """Return the workers, and which of them went silent by the database's clock."""
        return Worker.objects.annotate(
            lapsed=Case(When(leases.lapsed(), then=Value(True)), default=Value(False), output_field=BooleanField())
        )

    @admin.display(description="does")
    def shown_task(self, worker: Worker) -> str:
        """Return what such a worker does."""
        return KINDS.get(worker.kind, "")

    @admin.display(description="state")
    def shown_state(self, worker: Worker) -> SafeString:
        """Return whether it is alive."""
        return show.badge("silent", show.BAD) if worker.lapsed else show.badge("alive", show.GOOD)  # type: ignore[attr-defined]

    @admin.display(description="started")
    def shown_start(self, worker: Worker) -> SafeString:
        """Return since when it runs."""
        return show.moment(worker.started_at)

    @admin.display(description="last heartbeat")
    def shown_beat(self, worker: Worker) -> SafeString:
        """Return its last sign of life."""
        return show.moment(worker.heartbeat_at)


@admin.register(Housekeeping)
class HousekeepingAdmin(LogAdmin):
    """Runs of the regular jobs."""

    empty_text = "The regular jobs run once workers do; each run is listed here."
    owner_path = None
    list_display = ("job", "slot", "shown_state", "attempts", "progress", "error", "shown_end")
    list_filter = (choice_filter("state", "state", WorkState.choices),)
    fields = ("job", "slot", "state", "attempts", "max_attempts", "run_after", "created_at", "finished_at", "shown_progress", "error")
    readonly_fields = fields

    @admin.display(description="state")
    def shown_state(self, row: Housekeeping) -> SafeString:
        """Return how it ended."""
        return show.badge(row.get_state_display(), _STATES.get(WorkState(row.state), show.QUIET))

    @admin.display(description="finished")
    def shown_end(self, row: Housekeeping) -> SafeString:
        """Return when it ended."""
        return show.moment(row.finished_at)

    @admin.display(description="progress")
    def shown_progress(self, row: Housekeeping) -> Any:
        """Return what it has done."""
        return show.block(show.pretty(row.progress)) if row.progress else show.NOTHING
