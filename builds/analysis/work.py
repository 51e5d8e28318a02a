"""An analysis as claimable work. Killed at any line it ends once: result and event are written together, under the lease."""

from __future__ import annotations

from typing import Any, cast

from django.db import transaction

from access.principals import SYSTEM, Principal, of_user
from builds.analysis.compute import comparison, measures
from builds.analysis.scope import Scope
from builds.analysis.start import KIND_NAME
from builds.models import Analysis
from core import bus
from core.models import Owner
from core.models.work import WorkState
from core.work import LeaseLost, Run
from core.work_registry import Kind
from integrations.selectors.repositories import repositories_by_reference

EVENT = "analysis.completed"


def analyse(run: Run) -> None:
    """Compute an analysis and tell of it; a repeated run of one that has its result only ends it. Raises LeaseLost."""
    row = cast("Analysis", run.row)
    if row.result is not None:
        return
    who = requester(Owner.objects.select_related("user", "team").get(pk=row.owner_id) if row.owner_id else None)
    scope = Scope(who, row.since, row.until, row.project, row.branch, row.workflow)
    result = measures(scope)
    if row.compare_since and row.compare_until:
        other = Scope(who, row.compare_since, row.compare_until, row.project, row.branch, row.workflow)
        result["compare"] = comparison(result, measures(other))
    known = repositories_by_reference([row.project], who)[row.project] if row.project else []
    with transaction.atomic():
        held = Analysis.objects.filter(pk=row.pk, state=WorkState.RUNNING, lease_token=run.token, result__isnull=True)
        if not held.update(result=result, builds=result["builds"]):
            raise LeaseLost(str(row.pk))
        data: dict[str, Any] = {"analysis_id": str(row.pk), "builds": result["builds"], "success_rate": result["success_rate"]}
        if row.project:
            data["repository"] = row.project
        repository_id = known[0].id if len(known) == 1 else None
        bus.publish(EVENT, data, owner_id=row.owner_id, repository_id=repository_id, idempotency_key=f"analysis:{row.pk}")


def requester(owner: Owner | None) -> Principal:
    """Return on whose behalf an analysis of this owner reads: as that user or team sees builds now; the admins see all."""
    if owner is None:
        return SYSTEM
    if owner.user is not None:
        return of_user(owner.user)
    return Principal("team", str(owner), owner_ids=frozenset([owner.id]), default_owner_id=owner.id)


KIND = Kind(KIND_NAME, Analysis, analyse)
