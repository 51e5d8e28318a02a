"""AuditEntry: who changed what, when, from where."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from access.choices import AuditVerb
from core.ids import uuid7
from core.models import Owned


class AuditEntry(Owned):
    """Append-only. `changes` maps a field to [old, new], with secrets masked before they get here."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now())
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64, blank=True)
    actor = models.CharField(max_length=200)
    verb = models.CharField(max_length=10, choices=AuditVerb.choices)
    action = models.CharField(max_length=60, blank=True, help_text="For `acted`: which action, such as rotate-secret.")
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=64)
    object_name = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_object_idx"),
            models.Index(fields=["actor_id", "-id"], name="audit_actor_idx"),
            models.Index(fields=["verb", "-id"], name="audit_verb_idx"),
            models.Index(fields=["owner", "-id"], name="audit_owner_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.object_type} {self.object_name}"
