"""Who is alive: worker processes with a heartbeat, and the slots that bound how many of a kind work at once."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7


class Worker(models.Model):
    """A process that holds leases. Its heartbeat is the database's clock, so machines need not agree on the time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=40, help_text="`deliveries`, `work` or `cluster:<name>`.")
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.host}/{self.pid}"


class Slot(models.Model):
    """One of a bounded number of places, for example for the drains of a host; held by a live worker or free."""

    name = models.CharField(max_length=240, primary_key=True)
    holder = models.ForeignKey(Worker, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    token = models.UUIDField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
