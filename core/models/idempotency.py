"""IdempotencyKey: the answer to a POST, kept a day so that a repeated request gets it again."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.fields import EncryptedTextField
from core.ids import uuid7


class IdempotencyKey(models.Model):
    """Row first, answer later: while there is no answer the request is in progress."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    fingerprint = models.CharField(max_length=64, unique=True, help_text="SHA-256 of caller, method, route and key.")
    body_hash = models.CharField(max_length=64, help_text="SHA-256 of the request body.")
    token = models.UUIDField(default=uuid7, help_text="Fences a run that was given up for dead.")
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    answer = EncryptedTextField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return str(self.id)
