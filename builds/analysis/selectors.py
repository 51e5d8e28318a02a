"""Reading analyses."""

from __future__ import annotations

from django.db.models import QuerySet

from access.principals import Principal
from access.selectors import visible
from builds.models import Analysis, Build
from core.errors import Conflict
from core.models.work import WorkState

LOOKED_AT = 2000


def analyses() -> QuerySet[Analysis]:
    """Return every analysis, for the API and the admin to scope."""
    return Analysis.objects.all()


def finished(analysis: Analysis) -> dict[str, object]:
    """Return the result of an analysis; raises Conflict while there is none."""
    if analysis.result is not None:
        found: dict[str, object] = analysis.result
        return found
    if analysis.state == WorkState.FAILED:
        raise Conflict(f"This analysis failed: {analysis.error} Start it again.", code="analysis_failed")
    raise Conflict("This analysis isn't finished yet; ask again in a few seconds.", code="analysis_not_finished", retry_after=2)


def recent_projects(who: Principal) -> list[str]:
    """Return the projects of the latest builds that `who` sees, for a form to suggest: no more than LOOKED_AT rows are read."""
    latest = visible(Build.objects.all(), who).order_by("-id").values_list("project", flat=True)[:LOOKED_AT]
    return sorted(set(latest))
