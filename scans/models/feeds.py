"""Public lists about vulnerabilities, as they were read last: EPSS scores and CISA's known exploited ones."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from core.models import WorkRow
from core.models.work import WorkState
from integrations.contract.feeds import FeedName
from integrations.models import Integration

UNFINISHED = Q(state__in=[WorkState.QUEUED, WorkState.RUNNING])


class VulnerabilityScore(models.Model):
    """The EPSS of a CVE. Of which day it is says FeedState: as a column it would rewrite every row each day."""

    cve = models.CharField(primary_key=True, max_length=30)
    epss = models.FloatField()
    percentile = models.FloatField()

    def __str__(self) -> str:
        return self.cve


class KnownExploited(models.Model):
    """An entry of CISA's catalogue."""

    cve = models.CharField(primary_key=True, max_length=30)
    date_added = models.DateField()
    due_date = models.DateField(null=True)
    ransomware = models.BooleanField()
    vendor = models.CharField(max_length=200)
    product = models.CharField(max_length=200)
    action = models.TextField()

    def __str__(self) -> str:
        return self.cve


class FeedState(models.Model):
    """How a list stands: what was read last, and what went wrong since."""

    feed = models.CharField(primary_key=True, max_length=10, choices=FeedName.choices)
    rows = models.PositiveIntegerField(default=0, help_text="Rows of the list; 0 while it was never read.")
    version = models.CharField(max_length=60, blank=True, help_text="EPSS's model, or the catalogue's version.")
    dated = models.DateField(null=True, help_text="The day that the list itself names.")
    origin = models.CharField(max_length=2000, blank=True, help_text="Where it was read: an address, or the name of a file.")
    etag = models.CharField(max_length=300, blank=True)
    modified = models.CharField(max_length=100, blank=True)
    read_at = models.DateTimeField(null=True, help_text="When it was read, or found unchanged, last.")
    applied = models.BooleanField(default=True, help_text="Every finding has what the stored list says.")
    failed_at = models.DateTimeField(null=True, help_text="The refresh that failed since.")
    error = models.CharField(max_length=1000, blank=True)

    class Meta:
        verbose_name = "exploit feed"

    def __str__(self) -> str:
        return str(FeedName(self.feed).label)


class FeedRun(WorkRow):
    """One refresh of a list: fetched from an integration, or read from a file; then its findings are brought up to date."""

    feed = models.CharField(max_length=10, choices=FeedName.choices)
    integration = models.ForeignKey(Integration, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    file = models.BinaryField(null=True, editable=False, help_text="An uploaded file, until it was read.")
    file_name = models.CharField(max_length=200, blank=True)
    forced = models.BooleanField(default=False, help_text="Taken also where it is older, or much smaller, than the stored one.")
    rows = models.PositiveIntegerField(default=0, help_text="Rows of the list.")
    changed = models.PositiveIntegerField(default=0, help_text="Rows that differ from the stored ones.")
    findings = models.PositiveIntegerField(default=0, help_text="Findings that were changed.")
    started_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            # two at once would mix their rows on SQLite, which stores them by the thousand
            models.UniqueConstraint(fields=["feed"], condition=UNFINISHED, name="feedrun_one_at_a_time"),
        ]
        indexes = [
            models.Index(fields=["feed", "-id"], name="feedrun_feed_idx"),
            models.Index(fields=["state", "run_after"], name="feedrun_due_idx"),
            models.Index(fields=["lease_owner"], name="feedrun_lease_idx", condition=models.Q(lease_owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"refresh of {FeedName(self.feed).label}"
