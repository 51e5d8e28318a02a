"""The archive: integrations that keep what the portal is about to delete."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from core import bus
from core.errors import RepoGuardError, Unavailable
from core.fields import DecryptError
from core.models.outbound import CallPurpose
from integrations.calls import connector_for
from integrations.contract.archive import Archive
from integrations.models import Integration
from integrations.registry import find, with_capability

logger = logging.getLogger(__name__)


def log_archives() -> list[Integration]:
    """Return the admins' integrations that keep old logs, inactive ones too: what is to be kept there must wait for them."""
    types = [connector.key for connector in with_capability(Archive)]
    rows = Integration.objects.filter(type__in=types, owner__isnull=True).defer("credentials", "previous_credentials").order_by("id")
    return [row for row in rows if _keeps_logs(row)]


def keep(archives: Sequence[Integration], name: str, content: bytes, content_type: str) -> None:
    """Store a file in each archive. Raises Unavailable where one does not take it, and announces that once a day.

    Not to be called in a transaction: these are calls to other systems.
    """
    for row in archives:
        try:
            connector = connector_for(row, CallPurpose.OTHER)
            if isinstance(connector, Archive):
                connector.keep(name, content, content_type)
        except (RepoGuardError, DecryptError) as error:
            reason = error.message if isinstance(error, RepoGuardError) else "its credentials can't be read: enter them anew."
            raise _failed(row, reason) from error
        except Exception as error:  # the text of a library's error may hold credentials
            logger.error("archive_fault", extra={"integration": str(row.id), "fault": type(error).__name__})
            raise _failed(row, f"it failed ({type(error).__name__}); the portal's log says where.") from None


def _keeps_logs(row: Integration) -> bool:
    connector = find(row.type)
    return issubclass(connector, Archive) and connector.keeps_logs(row.config)


def _failed(row: Integration, reason: str) -> Unavailable:
    """Announce that old logs can't be archived; returns what says that they stay."""
    data = {"integration_id": str(row.id), "integration": row.name, "provider": row.type, "reason": f"Old logs wait: {reason}"}
    key = f"integration.archive_failed:{row.id}:{datetime.now(UTC):%Y-%m-%d}"
    bus.publish_all([bus.Announcement("integration.archive_failed", data, owner_id=row.owner_id, idempotency_key=key)])
    return Unavailable(f"The archive {row.name} took no logs, so none were deleted: {reason}", code="archive_failed")
