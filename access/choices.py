"""Words of the access room."""

from __future__ import annotations

from django.db import models


class Role(models.TextChoices):
    """Roles are Django groups of these names."""

    ADMIN = "admin", "admin: everything"
    INTEGRATOR = "integrator", "integrator: own and team objects"
    AUDITOR = "auditor", "auditor: reads everything but secrets"


class KeyEnvironment(models.TextChoices):
    """What a key is used for; shown in its prefix."""

    LIVE = "live", "live"
    TEST = "test", "test"


class AuditVerb(models.TextChoices):
    """What was done to an object."""

    CREATED = "created", "created"
    CHANGED = "changed", "changed"
    DELETED = "deleted", "deleted"
    ACTED = "acted", "acted on"
    REFUSED = "refused", "refused"
