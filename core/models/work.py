"""Rows that a worker claims: the base of every job that must survive a killed process."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from core.ids import uuid7


class WorkState(models.TextChoices):
    """Where a piece of work stands."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"


class WorkRow(models.Model):
    """Abstract: a claimable row. core/work.py claims, heartbeats, retries and sweeps it.

    Where `turns` names a column, its values take turns: a flood of one source delays its own rows, not another's.
    """

    turns: ClassVar[str] = ""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    state = models.CharField(max_length=10, choices=WorkState.choices, default=WorkState.QUEUED)
    run_after = models.DateTimeField(default=timezone.now, help_text="Not claimed before.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Counted before each run, so that a poison row ends.")
    max_attempts = models.PositiveSmallIntegerField(default=3)
    lease_owner = models.UUIDField(null=True, blank=True, help_text="Worker that runs it now.")
    lease_token = models.UUIDField(null=True, blank=True, help_text="An outcome is recorded only under it.")
    progress = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class WorkCall(models.Model):
    """Whether a worker was called for due rows of one kind, and none has come yet: then nobody calls a second one."""

    kind = models.CharField(max_length=60, primary_key=True)
    called_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.kind


class Housekeeping(WorkRow):
    """One run of a regular job (pruning, reconciling), so that it is seen, resumed and never doubled."""

    job = models.CharField(max_length=60)
    slot = models.CharField(max_length=40, help_text="The period it is for: one row for each job and period.")

    class Meta:
        verbose_name_plural = "housekeeping"
        constraints = [models.UniqueConstraint(fields=["job", "slot"], name="housekeeping_once_per_slot")]
        indexes = [
            models.Index(fields=["state", "run_after"], name="housekeeping_due_idx"),
            models.Index(fields=["lease_owner"], name="housekeeping_lease_idx", condition=models.Q(lease_owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.job} {self.slot}"
