"""KnownCommit: a commit that was pushed, or that a pull request stands at, whether or not a scan is about it yet."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from integrations.models import Repository


class KnownCommit(models.Model):
    """The gate of such a commit is worth waiting for."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # no constraint in the database: it is written with the event, which must not fail because the repository is deleted meanwhile
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    commit = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "commit"], name="known_commit_once")]

    def __str__(self) -> str:
        return self.commit[:12]
