"""The housekeeping of builds: files of imports that ended without removing them (a worker killed for the last time)."""

from __future__ import annotations

import time
from datetime import timedelta

from builds.importing import files
from builds.models import BuildImport
from core.housekeeping import Batch, Job, Step
from core.models.work import WorkState

_YOUNG_SECONDS = 3600


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


JOBS = [Job("builds.import_files", timedelta(hours=6), "Deletes uploaded files whose import has ended.", remove_files)]
