"""Pauses: a service that asked to be left alone is not called by any process until then."""

from __future__ import annotations

import logging
import uuid
from time import time

from django.core.cache import caches

from core.counters import FAILURES

logger = logging.getLogger(__name__)


def pause(integration_id: uuid.UUID, seconds: float) -> None:
    """Refuse calls of an integration for so long; a longer pause that is under way stays."""
    if seconds <= remaining(integration_id):
        return
    try:
        caches["counters"].set(_key(integration_id), time() + seconds, int(seconds) + 1)
    except FAILURES:
        logger.warning("pause_not_stored", extra={"integration": str(integration_id)})  # the service will say it again


def remaining(integration_id: uuid.UUID) -> float:
    """Return for how many seconds an integration may not be called; 0 when it may."""
    try:
        until = caches["counters"].get(_key(integration_id))
    except FAILURES:
        return 0.0  # no reason to stop calling: the service says it again
    return max(0.0, float(until) - time()) if until is not None else 0.0


def forget(integration_id: uuid.UUID) -> None:
    """End a pause before its time."""
    try:
        caches["counters"].delete(_key(integration_id))
    except FAILURES:
        logger.warning("pause_not_ended", extra={"integration": str(integration_id)})


def _key(integration_id: uuid.UUID) -> str:
    return f"door.pause:{integration_id}"
