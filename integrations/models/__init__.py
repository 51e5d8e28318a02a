"""The app's models, one file each."""

from __future__ import annotations

from integrations.models.endpoint import Endpoint
from integrations.models.health import HealthDay, HealthSample, IntegrationHealth
from integrations.models.integration import Integration
from integrations.models.oauth import OAuthGrant, OAuthRequest
from integrations.models.repository import Repository
from integrations.models.source import RepositorySource

__all__ = [
    "Endpoint",
    "HealthDay",
    "HealthSample",
    "Integration",
    "IntegrationHealth",
    "OAuthGrant",
    "OAuthRequest",
    "Repository",
    "RepositorySource",
]
