"""What is left to remove of a repository that was deleted."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RemovedRepository(models.Model):
    """A repository whose findings are being removed; nothing shows them any more."""

    id = models.UUIDField(primary_key=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return str(self.id)
