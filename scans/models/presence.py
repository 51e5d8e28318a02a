"""Where a finding is: each tool's own account, for each ref, so that none can close what another still sees."""

from __future__ import annotations

from django.db import models

from core.fields import RawJSONField
from core.ids import uuid7
from integrations.models import Repository
from scans.models.finding import Finding

OPEN = models.Q(closed_scan_id__isnull=True)


class Stream(models.Model):
    """What one tool reports of one category about one ref. A complete report replaces the one before it, and nothing else."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+", db_index=False)
    tool = models.CharField(max_length=60)
    category = models.CharField(max_length=255, blank=True)
    ref = models.CharField(max_length=255)
    last_scan_id = models.UUIDField(null=True, editable=False)
    last_commit = models.CharField(max_length=64, blank=True)
    last_at = models.DateTimeField(null=True, blank=True)
    digest = models.CharField(
        max_length=32, blank=True, editable=False, help_text="Of all that it reports now, in any order; empty when that is not known."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "ref", "tool", "category"], name="stream_once")]

    def __str__(self) -> str:
        return f"{self.tool} {self.category} on {self.ref}".replace("  ", " ")


class Presence(models.Model):
    """From `first_scan_id` to `closed_scan_id` its stream reported the finding. A row is written when that begins, changes or ends only."""

    # no constraints in the database, as of findings
    finding = models.ForeignKey(Finding, on_delete=models.CASCADE, related_name="presences", db_index=False, db_constraint=False)
    stream = models.ForeignKey(Stream, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False)
    first_scan_id = models.UUIDField()
    closed_scan_id = models.UUIDField(null=True, blank=True)
    content = models.UUIDField(editable=False, help_text="Hash of `reported`.")
    reported = RawJSONField(help_text="The finding in its normal form, as this tool reports it.")
    raw = RawJSONField(blank=True, help_text="What the tool wrote.")
    by_range = models.BooleanField(default=False, help_text="The tool gives a range of versions, and not the one that is used.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream", "finding"], condition=OPEN, name="presence_open_once"),
        ]
        indexes = [
            models.Index(fields=["finding", "-id"], name="presence_finding_idx"),
            models.Index(fields=["finding"], name="presence_range_idx", condition=OPEN & models.Q(by_range=True)),
        ]

    def __str__(self) -> str:
        return f"presence of {self.finding_id}"
