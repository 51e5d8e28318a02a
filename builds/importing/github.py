"""Imports the runs of GitHub Actions: each page's builds, figures and the place to go on from are one transaction.

A kill at any line therefore neither loses nor doubles a build. A limit of GitHub's is not waited for: the import is put aside
until then.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any, cast

from django.db import transaction
from django.utils import timezone

from builds.choices import ImportStatus
from builds.importing.progress import STEPS_KEPT
from builds.importing.work import KIND_NAME
from builds.models import BuildImport
from builds.rows import of_run
from builds.services import BuildRow, Rejected, scope_of, store_builds
from core import work_registry
from core.errors import NotFound, RepoGuardError, Unavailable
from core.fields import DecryptError
from core.limited import LIMITS, put_aside
from core.models.outbound import CallPurpose
from core.work import Done, Later, LeaseLost, Run
from integrations.calls import build_connector, connector_for
from integrations.choices import Category
from integrations.connectors.github.connector import GitHub
from integrations.connectors.github.walk import RunPage, RunQuery
from integrations.contract.schema import validate_values
from integrations.models import Integration

SOURCE = GitHub.key
MOST_PROBLEMS = 20
# GitHub counts the calls of nobody by address: all such imports share one pause
_NOBODY = uuid.UUID("6c1f4a52-6f6e-5d0b-9a53-1f2b8f1f9c10")
_NOBODYS_CONFIG = {"auth": "none"}


def work_off(run: Run, row: BuildImport) -> Later | Done:
    """Import for a while: the handler of this kind of import."""
    if row.status == ImportStatus.CANCELLED:
        return Done()
    try:
        github = _connector(row)
        query = RunQuery(row.branch, row.workflow, row.since, row.until)
        for page in github.run_pages(row.project, query, row.progress.get("cursor")):
            if not _keep(run, page):
                return Done()
            if run.time_is_up():
                work_registry.wake(KIND_NAME)
                return Later()
    except LIMITS as error:
        _save(run, status=ImportStatus.WAITING)
        return put_aside(error)
    except RepoGuardError as error:
        if error.permanent or run.row.attempts >= run.row.max_attempts:
            _save(run, status=ImportStatus.FAILED)
        raise
    _save(run, status=ImportStatus.DONE)
    return Done()


def _connector(row: BuildImport) -> GitHub:
    """Return GitHub as the import's integration reaches it, or as nobody does. Raises RepoGuardError where it can't be used."""
    integration = row.integration
    try:
        if integration is not None and integration.deleted_at is None:
            return cast("GitHub", connector_for(integration, CallPurpose.BUILDS))
    except DecryptError as error:
        raise Unavailable(str(error)) from None
    if integration is not None or row.progress.get("signed"):
        raise NotFound("The integration of this import was deleted. Start it again with another one.")
    config, _ = validate_values(GitHub, _NOBODYS_CONFIG, {})
    nobody = Integration(
        id=_NOBODY, name="GitHub without credentials", type=GitHub.key, category=Category.DEVELOPMENT, config=config, owner_id=row.owner_id
    )
    return cast("GitHub", build_connector(nobody, CallPurpose.BUILDS))


def _keep(run: Run, page: RunPage) -> bool:
    """Store a page and where to go on; False where the import was cancelled. Raises LeaseLost."""
    with transaction.atomic():
        row = BuildImport.objects.select_for_update().filter(pk=run.row.pk, state=run.row.state, lease_token=run.token).first()
        if row is None:
            raise LeaseLost(str(run.row.pk))
        if row.status == ImportStatus.CANCELLED:
            return False
        builds = [of_run(one, SOURCE, row.project) for one in page.runs]
        stored = store_builds(builds, scope_of(row.owner_id), publish=False)
        row.status, row.error = ImportStatus.RUNNING, ""
        row.total, row.seen = page.total, row.seen + page.listed
        row.created, row.updated = row.created + stored.created, row.updated + stored.updated
        row.rejected += len(stored.rejected)
        row.problems = [*row.problems, *_problems(builds, stored.rejected, page.note)][:MOST_PROBLEMS]
        steps = [*row.progress.get("steps", []), [round(time.time(), 2), row.seen]][-STEPS_KEPT:]
        row.progress = {**row.progress, "cursor": dict(page.cursor), "steps": steps}
        names = ["status", "error", "total", "seen", "created", "updated", "rejected", "problems", "progress", "updated_at"]
        row.save(update_fields=names)
    return True


def _problems(builds: Sequence[BuildRow], rejected: Sequence[Rejected], note: str) -> list[dict[str, Any]]:
    found = [{"field": one.field, "reason": f"Run {builds[one.index].build_id}: {one.reason}"} for one in rejected]
    return [*found, {"field": "", "reason": note}] if note else found


def _save(run: Run, **values: Any) -> None:
    rows = BuildImport.objects.filter(pk=run.row.pk, state=run.row.state, lease_token=run.token)
    # whoever cancels it at this moment has the last word
    rows.exclude(status=ImportStatus.CANCELLED).update(**values, updated_at=timezone.now())
