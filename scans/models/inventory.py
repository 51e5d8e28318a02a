"""Inventory: which packages a lock file or an SBOM of a repository names, the latest of each file and ref."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from integrations.models import Repository


class Inventory(models.Model):
    """One file on one ref. The file itself is not kept: its packages are, packed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="inventories", db_index=False)
    ref = models.CharField(max_length=255, help_text="Branch or other ref that the file is of.")
    manifest = models.CharField(max_length=500, help_text="Path of the file in the repository.")
    format = models.CharField(max_length=40, help_text="Format of the file.")
    commit = models.CharField(max_length=64, blank=True)
    content_hash = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the file, unpacked.")
    packages = models.BinaryField(help_text="See scans/inventories/packed.py.")
    package_count = models.PositiveIntegerField(default=0)
    ecosystems = models.JSONField(default=dict, blank=True, help_text="How many packages it names of each.")
    uploaded_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "inventories"
        constraints = [models.UniqueConstraint(fields=["repository", "ref", "manifest"], name="inventory_once")]
        indexes = [
            models.Index(fields=["repository", "-id"], name="inventory_repository_idx"),
            models.Index(fields=["updated_at"], name="inventory_age_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.manifest} on {self.ref}"
