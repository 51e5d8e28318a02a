"""What is left to do for a repository that was deleted or whose default branch was changed."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now


class RemovedRepository(models.Model):
    """A repository whose findings are being removed; nothing shows them any more."""

    id = models.UUIDField(primary_key=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return str(self.id)


class ChangedBranch(models.Model):
    """A repository whose default branch was changed: the states of its findings are about another one now."""

    id = models.UUIDField(primary_key=True, editable=False)
    after = models.UUIDField(default=uuid.UUID(int=0), editable=False, help_text="Findings up to this one are done.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return str(self.id)
