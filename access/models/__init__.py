"""Tables of keys, usage and the audit trail."""

from __future__ import annotations

from access.models.audit import AuditEntry
from access.models.keys import ApiKey, ApiUsage

__all__ = ["ApiKey", "ApiUsage", "AuditEntry"]
