"""Whose an object is: a user's or a team's (a Django group); without an owner it is the admins'."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from core.ids import uuid7


class Owner(models.Model):
    """One row for each user or team that owns something, so that every owned table has one indexed column."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="owner")
    team = models.OneToOneField("auth.Group", null=True, blank=True, on_delete=models.CASCADE, related_name="owner")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="owner_is_user_or_team",
                condition=models.Q(user__isnull=False, team__isnull=True) | models.Q(user__isnull=True, team__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"user:{self.user.get_username()}" if self.user else f"team:{self.team.name}" if self.team else "nobody"


class Owned(models.Model):
    """Base of models with an owner. Deleting a user or team is refused while it owns anything."""

    owner = models.ForeignKey(
        Owner, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="User or team; empty means the admins."
    )

    class Meta:
        abstract = True

    def visible_owner(self) -> Any:
        """Return the id of the owner, or None for the admins."""
        return self.owner_id
