"""Policy: what a commit must fulfil; GateResult: what was decided of one, GateFacts: on what; GateCheck: what to decide anew."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from core.models import WorkRow
from integrations.models import Repository
from scans.choices import GateCause, GateDecision


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
    """The decision about a commit after one of its scans, or anew without one; the latest of a commit and ref counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="gate_results", db_index=False)
    scan_id = models.UUIDField(help_text="The last scan of the ref when it was decided.")
    cause = models.CharField(max_length=8, choices=GateCause.choices, default=GateCause.SCAN)
    ref = models.CharField(max_length=255)
    commit = models.CharField(max_length=64, blank=True)
    decision = models.CharField(max_length=8, choices=GateDecision.choices)
    policy_name = models.CharField(max_length=100)
    policy_version = models.PositiveIntegerField(default=0)
    conditions = models.JSONField(default=list, help_text="Each condition with what it found.")
    broken_by = models.JSONField(default=list, help_text="Ids of the findings that broke it, with the condition's number.")
    broken_count = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict, help_text="Of the findings that count by severity, `new` ones and `all`.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scan_id"], condition=models.Q(cause=GateCause.SCAN), name="gate_once_after_a_scan"),
        ]
        indexes = [
            models.Index(fields=["repository", "commit", "-id"], name="gate_commit_idx"),
            models.Index(fields=["repository", "ref", "-id"], name="gate_ref_idx"),
            models.Index(fields=["scan_id", "-id"], name="gate_scan_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.decision} {self.commit[:12]}".strip()


class GateFacts(models.Model):
    """What conditions were checked against after a scan (scans/gates/facts.py): another policy can be tried on it."""

    result = models.OneToOneField(GateResult, primary_key=True, on_delete=models.CASCADE, related_name="facts")
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+", db_index=False)
    data = models.BinaryField()

    class Meta:
        verbose_name_plural = "facts of gates"
        indexes = [models.Index(fields=["repository", "-result"], name="gate_facts_idx")]

    def __str__(self) -> str:
        return f"facts of {self.result_id}"


class GateCheck(WorkRow):
    """Has the gate of a ref decided anew, for people decided about its findings. Deleted when that is done."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+", db_index=False)
    ref = models.CharField(max_length=255)

    class Meta:
        indexes = [
            models.Index(fields=["repository", "state"], name="gate_check_idx"),
            models.Index(fields=["state", "run_after"], name="gate_check_due_idx"),
            models.Index(fields=["lease_owner"], name="gate_check_lease_idx", condition=models.Q(lease_owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"check of {self.ref}"
