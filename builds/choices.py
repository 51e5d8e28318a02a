"""The words of builds."""

from __future__ import annotations

from django.db import models


class BuildStatus(models.TextChoices):
    """How a build stands, in one vocabulary for every CI system; the source's own word is kept as `conclusion`.

    TravisTorrent's tr_status maps on it: passed = success, failed and errored = failure, canceled = cancelled.
    """

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCESS = "success", "success"
    FAILURE = "failure", "failure"
    TIMED_OUT = "timed_out", "timed out"
    CANCELLED = "cancelled", "cancelled"
    SKIPPED = "skipped", "skipped"


FAILED = (BuildStatus.FAILURE, BuildStatus.TIMED_OUT)
"""What counts as red."""
JUDGED = (BuildStatus.SUCCESS, *FAILED)
"""What measures count: a cancelled or skipped build says nothing about the code."""
FINAL = (*JUDGED, BuildStatus.CANCELLED, BuildStatus.SKIPPED)


class ImportStatus(models.TextChoices):
    """Where an import stands, as people see it; `state` says where its work stands."""

    RUNNING = "running", "running"
    WAITING = "waiting", "waiting for the source's limit"
    DONE = "done", "done"
    CANCELLED = "cancelled", "cancelled"
    FAILED = "failed", "failed"


class ImportKind(models.TextChoices):
    """Where an import takes builds from."""

    GITHUB = "github", "GitHub Actions"
    TRAVISTORRENT = "travistorrent", "TravisTorrent CSV"
