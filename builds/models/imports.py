"""BuildImport: builds that are fetched or read in bulk, as work that survives its worker."""

from __future__ import annotations

from django.db import models

from builds.choices import ImportKind, ImportStatus
from core.models import Owned, WorkRow
from integrations.models import Integration


class BuildImport(WorkRow, Owned):
    """Takes the runs of a project in [since, until); `progress` says where to go on after a kill or a limit."""

    kind = models.CharField(max_length=20, choices=ImportKind.choices)
    status = models.CharField(max_length=10, choices=ImportStatus.choices, default=ImportStatus.RUNNING)
    project = models.CharField(max_length=255, blank=True, help_text="owner/name; empty for a file of several projects.")
    integration = models.ForeignKey(
        Integration,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Whose token is used; none for public repositories.",
    )
    branch = models.CharField(max_length=255, blank=True)
    workflow = models.CharField(max_length=255, blank=True, help_text="File name, name or id.")
    since = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    file_path = models.CharField(max_length=500, blank=True, help_text="Where an uploaded file lies until it is read.")
    total = models.PositiveIntegerField(null=True, blank=True, help_text="How many are expected, as far as the source says.")
    seen = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, blank=True, help_text="The first rejected rows, with reasons.")
    started_by = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "build import"
        indexes = [
            models.Index(fields=["owner", "-id"], name="buildimport_owner_idx"),
            models.Index(fields=["state", "run_after"], name="buildimport_due_idx"),
            models.Index(fields=["lease_owner"], name="buildimport_lease_idx", condition=models.Q(lease_owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"import of {self.project or 'a file'}"
