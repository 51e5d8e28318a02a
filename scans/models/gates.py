"""Policy: what a commit must fulfil; GateResult: what was decided of one."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from integrations.models import Repository
from scans.choices import GateDecision


class Policy(models.Model):
    """Conditions on new and on all findings. The one without repository is the default of all others."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    repository = models.OneToOneField(Repository, null=True, blank=True, on_delete=models.CASCADE, related_name="policy")
    conditions = models.JSONField(default=list, blank=True, help_text="See docs/gates.md.")
    sla_days = models.JSONField(default=dict, blank=True, help_text="Days by severity within which a finding has to be fixed.")
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(models.Value(1), condition=models.Q(repository__isnull=True), name="policy_one_default"),
        ]

    def __str__(self) -> str:
        return self.name


class GateResult(models.Model):
    """The decision about a commit after one of its scans; the latest of a commit counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="gate_results", db_index=False)
    scan_id = models.UUIDField(unique=True)
    ref = models.CharField(max_length=255)
    commit = models.CharField(max_length=64, blank=True)
    decision = models.CharField(max_length=8, choices=GateDecision.choices)
    policy_name = models.CharField(max_length=100)
    policy_version = models.PositiveIntegerField(default=0)
    conditions = models.JSONField(default=list, help_text="Each condition with what it found.")
    broken_by = models.JSONField(default=list, help_text="Ids of the findings that broke it, with the condition's number.")
    broken_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["repository", "commit", "-id"], name="gate_commit_idx"),
            models.Index(fields=["repository", "ref", "-id"], name="gate_ref_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.decision} {self.commit[:12]}".strip()
