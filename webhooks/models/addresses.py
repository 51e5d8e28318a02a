"""ProviderAddresses: where a platform's webhooks come from, as it last said."""

from __future__ import annotations

from django.db import models


class ProviderAddresses(models.Model):
    """One row a provider; none before the list that ships with the connector was replaced for the first time.

    A refresh that failed is noted, and changes nothing else.
    """

    provider = models.CharField(primary_key=True, max_length=40)
    networks = models.JSONField(default=list)
    read_at = models.DateTimeField(null=True, help_text="When these networks were read.")
    origin = models.CharField(max_length=300, blank=True, help_text="Where they were read: an address, or the name of a file.")
    failed_at = models.DateTimeField(null=True, help_text="The refresh that failed since.")
    error = models.CharField(max_length=1000, blank=True)

    class Meta:
        verbose_name = "addresses of a provider"
        verbose_name_plural = "addresses of providers"

    def __str__(self) -> str:
        return f"addresses of {self.provider}"
