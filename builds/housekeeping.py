"""The housekeeping of builds: retention, and files of imports that ended without removing them (a worker killed for the last time)."""

from __future__ import annotations

import time
from datetime import timedelta

from django.utils import timezone

from builds.importing import files
from builds.models import Analysis, Build, BuildImport
from core import runtime
from core.housekeeping import Batch, Job, Step, prune_by_age
from core.models.work import WorkState

_YOUNG_SECONDS = 3600
_ENDED = (WorkState.DONE, WorkState.FAILED)


def prune_builds(batch: Batch) -> Step:
    """Delete builds after their retention time, which begins when they are first stored: an import may bring runs of years ago."""
    return prune_by_age(Build.objects.all(), timezone.now() - timedelta(days=runtime.current().build_retention_days), batch)


def prune_imports(batch: Batch) -> Step:
    """Delete ended imports after their retention time; what they stored stays."""
    before = timezone.now() - timedelta(days=runtime.current().build_import_retention_days)
    return prune_by_age(BuildImport.objects.filter(state__in=_ENDED), before, batch)


def prune_analyses(batch: Batch) -> Step:
    """Delete ended analyses with their results after their retention time."""
    before = timezone.now() - timedelta(days=runtime.current().analysis_retention_days)
    return prune_by_age(Analysis.objects.filter(state__in=_ENDED), before, batch)


def remove_files(batch: Batch) -> Step:
    """Remove files on this machine that no unfinished import is about; young ones may be about to get theirs."""
    old = [path for path in sorted(files.folder().glob("*.csv")) if time.time() - path.stat().st_mtime > _YOUNG_SECONDS]
    wanted = set(
        BuildImport.objects.filter(state__in=[WorkState.QUEUED, WorkState.RUNNING])
        .exclude(file_path="")
        .values_list("file_path", flat=True)
    )
    orphans = [path for path in old if str(path) not in wanted][: batch.limit]
    if not batch.dry_run:
        for path in orphans:
            path.unlink(missing_ok=True)
    return Step(len(orphans))


JOBS = (
    Job("builds.retention", timedelta(hours=1), "Deletes builds after their retention time.", prune_builds),
    Job("builds.imports", timedelta(days=1), "Deletes ended imports of builds after their retention time.", prune_imports),
    Job("builds.analyses", timedelta(days=1), "Deletes ended analyses after their retention time.", prune_analyses),
    Job("builds.import_files", timedelta(hours=6), "Deletes uploaded files whose import has ended.", remove_files),
)
