"""OAuth2: the tokens of an integration, and sign-ins that are under way."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from core.fields import EncryptedTextField
from core.ids import uuid7
from integrations.choices import GrantStatus
from integrations.models.integration import Integration


class OAuthGrant(models.Model):
    """Tokens of an integration. Whoever refreshes them takes the lease by compare-and-set; no transaction is open during the call."""

    integration = models.OneToOneField(Integration, primary_key=True, on_delete=models.CASCADE, related_name="grant")
    status = models.CharField(max_length=15, choices=GrantStatus.choices, default=GrantStatus.NOT_CONNECTED)
    access_token = EncryptedTextField(null=True, editable=False)
    refresh_token = EncryptedTextField(null=True, editable=False)
    scope = models.CharField(max_length=1000, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=0, help_text="Counts renewals; a renewal is stored only over the version it began with.")
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    hold_until = models.DateTimeField(null=True, blank=True, help_text="After a failure the provider is not asked before then.")
    app_mark = models.CharField(max_length=64, blank=True, help_text="Hash of the client the tokens were issued to; others get none.")
    connection = models.UUIDField(null=True, blank=True, help_text="Changes with each sign-in by hand: it may be another account.")
    error = models.CharField(max_length=500, blank=True)
    connected_by = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.integration_id}: {self.status}"


class OAuthRequest(models.Model):
    """A sign-in that was sent to the provider: its `state` comes back once, for the same user, within minutes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    state_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the state parameter.")
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    code_verifier = EncryptedTextField(editable=False)
    redirect_uri = models.CharField(max_length=2000)
    app_mark = models.CharField(max_length=64, default="", help_text="Keyed hash of the client that the person was sent as.")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"sign-in for {self.integration_id}"
