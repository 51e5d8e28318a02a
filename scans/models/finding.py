"""Finding: one weakness of one repository, whichever scanners report it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from integrations.models import Repository
from scans.choices import FindingState, Kind, Severity, Triage

_COUNTS = models.Q(state=FindingState.OPEN, triage=Triage.NONE, suppressed=False)


class Finding(models.Model):
    """Its texts are those of its sources merged (scans/ingest/merging.py); what each source said is in its presences.

    `identity` never depends on title, description or severity: rescoring and rewording keep the row, and what people decided about it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # no constraints in the database here: checking them would cost as much as storing the rows, which only scans/ingest writes
    # findings of a deleted repository go some at a time (scans/services/removing.py)
    repository = models.ForeignKey(Repository, on_delete=models.DO_NOTHING, related_name="findings", db_index=False, db_constraint=False)
    identity = models.UUIDField(unique=True, editable=False, help_text="Hash of repository and what names the finding in it.")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    tool = models.CharField(max_length=60, blank=True, help_text="The scanner whose rule it is; empty for a vulnerable dependency.")
    rule = models.CharField(max_length=300, blank=True)
    title = models.CharField(max_length=500)
    description = models.TextField(blank=True)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    severity_rank = models.PositiveSmallIntegerField(default=0, editable=False, help_text="Rises with the severity.")
    severity_origin = models.CharField(max_length=200, blank=True)
    cvss_score = models.FloatField(null=True, blank=True)
    cvss_vector = models.CharField(max_length=200, blank=True)
    cwe = models.JSONField(default=list, blank=True)
    identifiers = models.JSONField(default=list, blank=True, help_text="Pairs of kind and value, such as CVE and CVE-2021-44228.")
    ecosystem = models.CharField(max_length=40, blank=True)
    package = models.CharField(max_length=300, blank=True)
    version = models.CharField(max_length=200, blank=True)
    fixed_version = models.CharField(max_length=200, blank=True)
    vulnerable_range = models.CharField(max_length=500, blank=True)
    purl = models.CharField(max_length=700, blank=True)
    known_exploited = models.BooleanField(
        db_default=False, default=False, help_text="In CISA's catalogue of known exploited vulnerabilities."
    )
    exploited_due = models.DateField(null=True, blank=True, help_text="Day by which the catalogue wants it mended.")
    epss = models.FloatField(null=True, blank=True, help_text="Chance (0 to 1) of being exploited within 30 days, by FIRST's EPSS.")
    epss_percentile = models.FloatField(null=True, blank=True)
    path = models.CharField(max_length=1000, blank=True, help_text="File, or the manifest of a dependency.")
    line = models.PositiveIntegerField(null=True, blank=True)
    url = models.CharField(max_length=2000, blank=True)
    sources = models.JSONField(default=list, blank=True, help_text="The tools that report it now.")
    state = models.CharField(max_length=8, choices=FindingState.choices, default=FindingState.STAGED)
    suppressed = models.BooleanField(default=False, help_text="Every source that reports it was told to leave it out.")
    triage = models.CharField(max_length=14, choices=Triage.choices, default=Triage.NONE, blank=True)
    first_scan_id = models.UUIDField(null=True, editable=False)
    opened_at = models.DateTimeField(null=True, blank=True, help_text="When it was first seen, or seen again after it was fixed.")
    fixed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["repository", "-id"], name="finding_repository_idx"),
            models.Index(fields=["repository", "severity"], name="finding_counted_idx", condition=_COUNTS),
            models.Index(fields=["severity_rank", "-id"], name="finding_severity_idx", condition=_COUNTS),
            models.Index(fields=["-id"], name="finding_exploited_idx", condition=models.Q(known_exploited=True)),
            models.Index(fields=["epss"], name="finding_epss_idx", condition=models.Q(epss__isnull=False)),
            models.Index(fields=["opened_at"], name="finding_opened_idx"),
            models.Index(fields=["package", "-id"], name="finding_package_idx", condition=~models.Q(package="")),
            models.Index(fields=["triage", "-id"], name="finding_triaged_idx", condition=~models.Q(triage="")),
            models.Index(fields=["id"], name="finding_staged_idx", condition=models.Q(state=FindingState.STAGED)),
        ]

    def __str__(self) -> str:
        return self.title or self.rule or "(its scanner gave no title)"


class FindingIdentifier(models.Model):
    """A name by which a vulnerable dependency is found again: a hash of repository, package, version and one id of the vulnerability."""

    key = models.UUIDField(primary_key=True, editable=False)
    finding = models.ForeignKey(Finding, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    value = models.CharField(max_length=200)

    class Meta:
        indexes = [models.Index(fields=["value"], name="identifier_value_idx")]

    def __str__(self) -> str:
        return self.value
