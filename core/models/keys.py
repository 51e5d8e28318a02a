"""EncryptionKey: which keys have encrypted here, so that one still in use is missed when it is dropped."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class EncryptionKey(models.Model):
    """One key that FERNET_KEYS held at some start, by its id (core/fields.py); the key itself is never stored."""

    key_id = models.CharField(primary_key=True, max_length=8)
    first_seen_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True, blank=True, help_text="When it was gone from FERNET_KEYS and no value needed it.")
    given_up_at = models.DateTimeField(null=True, blank=True, help_text="When an admin declared it lost; what it encrypted is unreadable.")

    def __str__(self) -> str:
        return f"encryption key {self.key_id}"
