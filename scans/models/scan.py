"""Scan: one report of one scanner about one commit, uploaded or fetched; and the report itself until it is read."""

from __future__ import annotations

from django.db import models

from core.fields import EncryptedBytesField
from core.models import WorkRow
from core.models.work import WorkState
from integrations.models import Integration, Repository
from scans.choices import ScanOutcome, ScanStatus, ScanTrigger

GOING_ON = models.Q(state__in=[WorkState.QUEUED, WorkState.RUNNING], outcome=ScanOutcome.NONE)
WAITING = GOING_ON & models.Q(started_at__isnull=True, integration__isnull=False)
"""A pulled scan that has not begun: another request for the same is answered with it."""


class Scan(WorkRow):
    """Work that survives its worker. Its findings become visible at once, when it completes."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="scans", db_index=False)
    integration = models.ForeignKey(Integration, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    trigger = models.CharField(max_length=10, choices=ScanTrigger.choices, default=ScanTrigger.UPLOAD)
    format = models.CharField(max_length=40, blank=True, help_text="Format of the report.")
    tools = models.JSONField(default=list, blank=True, help_text="The scanners that the report speaks for.")
    category = models.CharField(max_length=255, blank=True, help_text="Tells reports of one tool about one commit apart.")
    ref = models.CharField(max_length=255, help_text="Branch or other ref that was scanned.")
    commit = models.CharField(max_length=64, blank=True)
    complete = models.BooleanField(default=True, help_text="It is all that its tool has to say: what it lacks is fixed.")
    outcome = models.CharField(max_length=10, choices=ScanOutcome.choices, default=ScanOutcome.NONE, blank=True, editable=False)
    status = models.GeneratedField(
        expression=models.Case(
            models.When(~models.Q(outcome=ScanOutcome.NONE), then=models.F("outcome")),
            models.When(state=WorkState.FAILED, then=models.Value(ScanStatus.FAILED.value)),
            models.When(state=WorkState.RUNNING, then=models.Value(ScanStatus.RUNNING.value)),
            default=models.Value(ScanStatus.QUEUED.value),
            output_field=models.CharField(max_length=10),
        ),
        output_field=models.CharField(max_length=10, choices=ScanStatus.choices),
        db_persist=True,
    )
    report_name = models.CharField(max_length=80, blank=True, editable=False, help_text="Names the bytes of an uploaded report.")
    sections = models.PositiveSmallIntegerField(default=0, editable=False, help_text="Tools and categories that the report speaks for.")
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of the report, unpacked.")
    total = models.PositiveIntegerField(default=0, help_text="Findings that it reports, each once.")
    new = models.PositiveIntegerField(default=0, help_text="Findings that its ref did not have before.")
    fixed = models.PositiveIntegerField(default=0, help_text="Findings that are gone from its ref with it.")
    reopened = models.PositiveIntegerField(default=0, help_text="New ones among them that had been fixed.")
    by_severity = models.JSONField(default=dict, blank=True)
    problem_count = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, blank=True, help_text="The first parts of the report that could not be used, with reasons.")
    full = models.BooleanField(default=False, help_text="All is read, also of a source that could tell only what changed.")
    turn = models.UUIDField(
        null=True, editable=False, help_text="Scans of a repository are written in this order; a pulled one has it once all pages are here."
    )
    expected = models.PositiveIntegerField(null=True, blank=True, help_text="Findings that its source says there are.")
    started_by = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["repository", "-id"], name="scan_repository_idx"),
            models.Index(fields=["repository", "commit", "-id"], name="scan_commit_idx"),
            models.Index(fields=["status", "-id"], name="scan_status_idx"),
            models.Index(fields=["state", "run_after"], name="scan_due_idx"),
            models.Index(fields=["lease_owner"], name="scan_lease_idx", condition=models.Q(lease_owner__isnull=False)),
            models.Index(fields=["repository", "turn"], name="scan_turn_idx", condition=GOING_ON),
            models.Index(fields=["integration", "-id"], name="scan_integration_idx", condition=models.Q(integration__isnull=False)),
        ]
        constraints = [
            # however many ask for it at once; see services/queueing.py
            models.UniqueConstraint(fields=["integration", "repository", "ref"], name="scan_waiting_once", condition=WAITING),
        ]

    def __str__(self) -> str:
        return f"scan {self.id}"

    @property
    def pulled(self) -> bool:
        """Say whether its findings are read from an integration, which may be gone by now."""
        return self.trigger != ScanTrigger.UPLOAD


class ScanPart(models.Model):
    """A piece of a report, uploaded or pulled, compressed and encrypted: reports quote code, and secrets that were found in it."""

    scan = models.ForeignKey(Scan, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveIntegerField()
    data = EncryptedBytesField()

    class Meta:
        verbose_name = "part of a report"
        constraints = [models.UniqueConstraint(fields=["scan", "number"], name="scan_part_once")]

    def __str__(self) -> str:
        return f"part {self.number} of {self.scan_id}"
