"""How many findings counted on each day, for the chart of open findings over time."""

from __future__ import annotations

from django.db import models

from core.ids import uuid7
from integrations.models import Repository


class DailyCount(models.Model):
    """The open findings of a repository's default branch at the end of a day (UTC), or so far where it is today."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    critical = models.PositiveIntegerField(default=0)
    high = models.PositiveIntegerField(default=0)
    medium = models.PositiveIntegerField(default=0)
    low = models.PositiveIntegerField(default=0)
    info = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "day"], name="daily_count_once")]
        indexes = [models.Index(fields=["day"], name="daily_count_day_idx")]

    def __str__(self) -> str:
        return f"{self.repository_id} on {self.day}"
