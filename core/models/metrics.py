"""MetricCount: counters that many processes add to and /metrics sums up."""

from __future__ import annotations

from django.db import models


class MetricCount(models.Model):
    """A running total. Writers of different shards do not wait for one another."""

    name = models.CharField(max_length=80)
    labels = models.CharField(max_length=200, blank=True, help_text='As Prometheus writes them, sorted: a="b",c="d".')
    shard = models.PositiveSmallIntegerField(default=0)
    value = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels", "shard"], name="metric_count_once")]

    def __str__(self) -> str:
        return f"{self.name}{{{self.labels}}}"
