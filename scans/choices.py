"""Words of scans and findings."""

from __future__ import annotations

from django.db.models import TextChoices


class Severity(TextChoices):
    """How bad a finding is; the bands of CVSS v3 and v4 where a score says it (https://www.first.org/cvss/v4.0/specification-document)."""

    CRITICAL = "critical", "critical"
    HIGH = "high", "high"
    MEDIUM = "medium", "medium"
    LOW = "low", "low"
    INFO = "info", "info"
    UNKNOWN = "unknown", "unknown"


class Kind(TextChoices):
    """What a finding is about."""

    DEPENDENCY = "dependency", "vulnerable dependency"
    CODE = "code", "code"
    SECRET = "secret", "secret in the code"
    CONFIG = "config", "configuration"
    LICENSE = "license", "licence"


class ScanStatus(TextChoices):
    """Where a scan stands."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    COMPLETED = "completed", "completed"
    PARTIAL = "partial", "partial"
    FAILED = "failed", "failed"


ENDED = (ScanStatus.COMPLETED, ScanStatus.PARTIAL, ScanStatus.FAILED)


class ScanOutcome(TextChoices):
    """How the work of a scan ended; nothing while it did not, and where it failed for good."""

    NONE = "", "none yet"
    COMPLETED = "completed", "completed"
    PARTIAL = "partial", "partial"
    FAILED = "failed", "failed"


class ScanTrigger(TextChoices):
    """What started a scan."""

    UPLOAD = "upload", "upload"
    EVENT = "event", "event"
    SCHEDULE = "schedule", "schedule"
    API = "api", "API"
    MANUAL = "manual", "by hand"


class FindingState(TextChoices):
    """Whether a finding is there, on the repository's default branch."""

    STAGED = "staged", "being stored"
    OPEN = "open", "open"
    FIXED = "fixed", "fixed"
    BRANCH = "branch", "on other branches only"


class Triage(TextChoices):
    """What people decided about a finding."""

    NONE = "", "not triaged"
    ACCEPTED = "accepted", "risk accepted"
    FALSE_POSITIVE = "false_positive", "false positive"
    IGNORED = "ignored", "ignored"


UNDECIDED = "none"
"""What parameters and links call Triage.NONE: an empty one leaves the triage open."""
TRIAGES = [(UNDECIDED, Triage.NONE.label), *(choice for choice in Triage.choices if choice[0])]


class GateDecision(TextChoices):
    """What a policy says of a commit."""

    PASSED = "passed", "passed"
    FAILED = "failed", "failed"


class GateCause(TextChoices):
    """Why a gate was decided."""

    SCAN = "scan", "a scan"
    TRIAGE = "triage", "a decision about findings"
    TIME = "time", "time and news"
