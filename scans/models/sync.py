"""SyncState: up to when it is known what an integration says about a ref."""

from __future__ import annotations

from django.db import models

from integrations.models import Integration, Repository


class SyncState(models.Model):
    """Written by the scan that ended; a source that can tell what changed is asked from `synced_to` on."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="+", db_index=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+")
    ref = models.CharField(max_length=255)
    synced_to = models.DateTimeField(help_text="By the source's clock.")
    full_at = models.DateTimeField(help_text="When all was read the last time.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["integration", "repository", "ref"], name="sync_state_once")]

    def __str__(self) -> str:
        return f"{self.integration_id} on {self.ref} up to {self.synced_to:%Y-%m-%d %H:%M}"
