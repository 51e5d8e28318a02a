"""Choices of integrations."""

from __future__ import annotations

from django.db import models


class Provider(models.TextChoices):
    """Where a repository lives."""

    GITHUB = "github", "GitHub"
    GITLAB = "gitlab", "GitLab"
    BITBUCKET = "bitbucket", "Bitbucket"
    AZURE_DEVOPS = "azure_devops", "Azure DevOps"
    GITEA = "gitea", "Gitea"
    OTHER = "other", "other"


class Category(models.TextChoices):
    """What a connector is for."""

    COMMUNICATION = "communication", "Communication"
    STORAGE = "storage", "Storage"
    ANALYTICS = "analytics", "Analytics"
    DEVELOPMENT = "development", "Development"
    SECURITY = "security", "Security"
    MONITORING = "monitoring", "Monitoring"


class Environment(models.TextChoices):
    """Which system of the other side it is."""

    PRODUCTION = "production", "Production"
    STAGING = "staging", "Staging"
    TEST = "test", "Test"


class Status(models.TextChoices):
    """Whether an integration is used."""

    ACTIVE = "active", "active"
    INACTIVE = "inactive", "inactive"


class Criticality(models.TextChoices):
    """How much depends on it; decides how often it is checked."""

    CRITICAL = "critical", "critical"
    IMPORTANT = "important", "important"
    OPTIONAL = "optional", "optional"


class HealthState(models.TextChoices):
    """What the last checks of an integration say."""

    UNKNOWN = "unknown", "not checked yet"
    HEALTHY = "healthy", "healthy"
    DEGRADED = "degraded", "answers, but not within its targets"
    UNHEALTHY = "unhealthy", "unhealthy"


class Condition(models.TextChoices):
    """What people are told of an active integration: the state that its checks made, unless its breaker or newer checks say worse."""

    HEALTHY = "healthy", "healthy"
    SLOW = "slow", "slow"
    CHECKS_FAIL = "checks_fail", "failing"
    CALLS_FAIL = "calls_fail", "calls failing"
    UNHEALTHY = "unhealthy", "unhealthy"
    UNKNOWN = "unknown", "not checked yet"
    NEVER_WORKED = "never_worked", "failing, not yet judged"


class GrantStatus(models.TextChoices):
    """Where an OAuth2 sign-in stands."""

    NOT_CONNECTED = "not_connected", "not connected"
    CONNECTED = "connected", "connected"
    REVOKED = "revoked", "refused by the provider: connect it again"
