"""Analysis: the measures of a set of builds, computed by a worker and kept."""

from __future__ import annotations

from django.db import models

from core.models import Owned, WorkRow


class Analysis(WorkRow, Owned):
    """Of the builds that its scope names and that started in [since, until), as its requester sees them."""

    project = models.CharField(max_length=255, blank=True, help_text="Empty: every project that its owner sees.")
    branch = models.CharField(max_length=255, blank=True)
    workflow = models.CharField(max_length=255, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField()
    compare_since = models.DateTimeField(null=True, blank=True, help_text="The other window, where two are compared.")
    compare_until = models.DateTimeField(null=True, blank=True)
    builds = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True, blank=True, help_text="See docs/analysis.md for each measure's definition.")
    started_by = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "analyses"
        indexes = [
            models.Index(fields=["owner", "-id"], name="analysis_owner_idx"),
            models.Index(fields=["project", "-id"], name="analysis_project_idx"),
            models.Index(fields=["state", "run_after"], name="analysis_due_idx"),
            models.Index(fields=["lease_owner"], name="analysis_lease_idx", condition=models.Q(lease_owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"analysis of {self.project or 'all projects'}"
