"""RuntimeSettings: the thresholds that admins change while the portal runs."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


def _number(default: int, low: int, high: int, help_text: str) -> models.PositiveIntegerField[int, int]:
    return models.PositiveIntegerField(default=default, validators=[MinValueValidator(low), MaxValueValidator(high)], help_text=help_text)


class RuntimeSettings(models.Model):
    """One row (id 1). Read through core.runtime.current(), which looks again every few seconds."""

    delivery_retention_days = _number(30, 1, 3650, "Finished deliveries and their attempts are deleted after this many days.")
    event_retention_days = _number(90, 1, 3650, "Events are deleted after this many days, unless a delivery still needs them.")
    audit_retention_days = _number(730, 30, 36500, "Audit entries are deleted after this many days.")
    usage_retention_days = _number(180, 1, 3650, "API usage per key, route and day is deleted after this many days.")
    request_log_retention_days = _number(30, 1, 3650, "The log of outbound calls is deleted after this many days.")
    receipt_retention_days = _number(30, 1, 3650, "Received inbound requests are deleted after this many days.")
    build_retention_days = _number(730, 1, 3650, "Builds are deleted so many days after they were first stored.")
    build_import_retention_days = _number(90, 1, 3650, "Imports of builds are deleted so many days after their start; their builds stay.")
    analysis_retention_days = _number(90, 1, 3650, "Results of analyses are deleted after this many days.")
    commit_retention_days = _number(90, 1, 3650, "Commits of pushes and pull requests are known to the gate for so many days.")
    health_retention_days = _number(30, 1, 3650, "Single health checks are deleted after this many days; their daily summaries stay.")
    request_timeout_seconds = _number(15, 1, 30, "A webhook request that takes longer, from connect to the last byte, has failed.")
    connect_timeout_seconds = _number(5, 1, 30, "A connection that is not up by then has failed.")
    response_body_bytes = _number(16_384, 0, 262_144, "How much of an answer's body an attempt keeps.")
    breaker_failures = _number(20, 2, 1000, "Failures in a row after which a webhook is held and probed with single requests.")
    breaker_first_hold_seconds = _number(5, 1, 3600, "How long the first hold of a failing webhook lasts; it doubles each time.")
    breaker_longest_hold_seconds = _number(300, 5, 86_400, "The longest hold between two probes of a failing webhook.")
    disable_after_hours = _number(120, 1, 2160, "A webhook that has failed this long without one success is disabled.")
    secret_overlap_hours = _number(24, 0, 720, "After a rotation the old secret signs as well for this many hours.")
    credentials_overlap_hours = _number(24, 0, 720, "After a rotation the old credentials of an integration are kept for this many hours.")
    credentials_warning_days = _number(14, 1, 365, "Credentials that end within so many days are announced.")
    quota_warning_percent = _number(80, 1, 100, "A quota that is used to this share is announced, once per window.")
    check_minutes_critical = _number(1, 1, 1440, "How often a critical integration is checked.")
    check_minutes_important = _number(5, 1, 1440, "How often an important integration is checked.")
    check_minutes_optional = _number(30, 1, 1440, "How often an optional integration is checked.")
    teams_register_repositories = models.BooleanField(
        default=True,
        db_default=True,  # for processes of the release before, which may store settings and know no such column
        help_text="Off: only admins register and rename repositories, and give them to teams; no team can claim a name that is another's.",
    )
    log_request_bodies = models.BooleanField(default=True, help_text="Show the sent body in the delivery log.")

    class Meta:
        verbose_name = "settings"
        verbose_name_plural = "settings"
        constraints = [models.CheckConstraint(name="runtime_settings_one_row", condition=models.Q(pk=1))]

    def __str__(self) -> str:
        return "Settings"
