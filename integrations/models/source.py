"""RepositorySource: an integration that scans a repository, and when."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from core.ids import uuid7
from integrations.models.integration import Integration
from integrations.models.repository import Repository

DAILY = 24


class RepositorySource(models.Model):
    """One integration for one repository. People change it; the schedule moves `next_at` on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="sources", db_index=False)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="+")
    scan_on_push = models.BooleanField(default=True, help_text="A push to a branch has that branch scanned.")
    scan_on_pull_request = models.BooleanField(default=False, help_text="A pull request that gets commits has its branch scanned.")
    scan_on_alert = models.BooleanField(default=True, help_text="An alert that the integration's platform tells of has its branch scanned.")
    every_hours = models.PositiveSmallIntegerField(
        null=True, blank=True, default=DAILY, help_text="The default branch is scanned every so many hours; empty: never by the clock."
    )
    next_at = models.DateTimeField(default=timezone.now, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "scan source"
        constraints = [models.UniqueConstraint(fields=["repository", "integration"], name="repository_source_once")]
        indexes = [models.Index(fields=["next_at", "id"], name="repository_source_due_idx", condition=models.Q(every_hours__isnull=False))]

    def __str__(self) -> str:
        return f"{self.integration} for {self.repository}"
