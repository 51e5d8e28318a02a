"""What the requests of a batch need: each webhook decrypted once, each event's body built once."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

from django.db import DatabaseError
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from core.fields import DecryptError
from core.models import Event
from templates_app.payloads.selectors import active_versions
from webhooks.destinations.binding import Route, bind
from webhooks.engine.types import EventRow, Target
from webhooks.envelope import envelope_bytes
from webhooks.models import Webhook
from webhooks.retry import DEFAULT_SCHEDULE, schedule_of
from webhooks.secrets import next_expiry, signing_secrets

logger = logging.getLogger(__name__)
MAX_TARGETS = 1000


class TargetCache:
    """Targets of webhooks that did not change since they were loaded: decrypting them costs more than a turn's statements.

    It holds secrets, so it lives as long as its engine, in its process, and is never shown.
    """

    def __init__(self) -> None:
        self._kept: dict[uuid.UUID, tuple[str, Target]] = {}

    def load(self, versions: Mapping[uuid.UUID, str | None]) -> dict[uuid.UUID, Target]:
        """Return the targets of these webhooks, each as it was at that version or later."""
        now = timezone.now()
        found = {hook: target for hook, version in versions.items() if (target := self._fresh(hook, version, now))}
        loaded = load_targets(versions.keys() - found.keys())
        if len(self._kept) + len(loaded) > MAX_TARGETS:
            self._kept.clear()
        for hook, target in loaded.items():
            version = versions[hook]
            if version is not None and not target.problem:
                self._kept[hook] = version, target
        return _templated(_bound(found | loaded))

    def _fresh(self, webhook_id: uuid.UUID, version: str | None, now: datetime) -> Target | None:
        kept_version, target = self._kept.get(webhook_id, (None, None))
        if target is None or version is None or kept_version != version:
            return None
        return target if target.valid_until is None or now < target.valid_until else None


def load_targets(webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Target]:
    """Return the targets of these webhooks; one whose secrets can't be read says so in `problem` and harms no other.

    The destinations of their integrations are not among it: see TargetCache.
    """
    if not webhook_ids:
        return {}
    try:
        return {hook.id: _target(hook) for hook in _hooks(webhook_ids)}
    except DatabaseError:
        raise
    except Exception:  # whatever one row holds that can't be read, the others must leave
        return {hook.id: _readable(hook) for hook in _hooks(webhook_ids).defer("secrets", "headers", "retry_config")}


def _bound(targets: dict[uuid.UUID, Target]) -> dict[uuid.UUID, Target]:
    """Add the destinations of integrations: loaded anew for each batch, since they change without their webhooks."""
    routes = {webhook_id: target.route for webhook_id, target in targets.items() if target.route is not None}
    if not routes:
        return targets
    return targets | {webhook_id: replace(targets[webhook_id], bound=bound) for webhook_id, bound in bind(routes).items()}


def _templated(targets: dict[uuid.UUID, Target]) -> dict[uuid.UUID, Target]:
    """Add the versions of payload templates that are active now, loaded anew for each batch for the same reason."""
    wanted = {target.template_id for target in targets.values() if target.template_id is not None}
    if not wanted:
        return targets
    active = active_versions(wanted)
    return {
        id: replace(target, template=active.get(target.template_id)) if target.template_id else target for id, target in targets.items()
    }


def _hooks(webhook_ids: Collection[uuid.UUID]) -> QuerySet[Webhook]:
    return Webhook.objects.filter(id__in=webhook_ids).only(
        "id", "url", "secrets", "headers", "retry_config", "integration_id", "destination", "payload_template_id"
    )


def _readable(hook: Webhook) -> Target:
    try:
        return _target(hook)
    except DatabaseError:
        raise
    except DecryptError as error:
        return _unusable(hook, str(error))
    except Exception as error:  # the exception's text may hold what was stored
        return _unusable(hook, f"What is stored of this webhook can't be read ({type(error).__name__}): save its secret and headers anew.")


def _unusable(hook: Webhook, problem: str) -> Target:
    logger.error("webhook_unreadable", extra={"webhook": str(hook.id), "reason": problem})
    return Target(hook.id, hook.url, (), {}, _schedule(hook), problem=problem, route=_route(hook), template_id=hook.payload_template_id)


def _schedule(hook: Webhook) -> tuple[float, ...]:
    """Return its own schedule also of a webhook that can't be used otherwise; the default one where that can't be read, too."""
    try:
        return tuple(float(delay) for delay in schedule_of(hook.retry_config))
    except DatabaseError:
        raise
    except Exception:  # whatever is stored; it is named where the webhook is loaded
        return DEFAULT_SCHEDULE


def _target(hook: Webhook) -> Target:
    stored: dict[str, str] | None = cast("dict[str, str] | None", hook.headers)
    headers = {str(name): str(value) for name, value in (stored or {}).items()}
    now = timezone.now()
    entries = cast("list[dict[str, str | None]]", hook.secrets)
    secrets = tuple(signing_secrets(entries, now))
    if not secrets:
        raise DecryptError("No secret of this webhook can sign any more. Rotate its secret.")
    schedule = tuple(float(delay) for delay in schedule_of(hook.retry_config))
    valid_until = next_expiry(entries, now)
    return Target(
        hook.id, hook.url, secrets, headers, schedule, valid_until=valid_until, route=_route(hook), template_id=hook.payload_template_id
    )


def _route(hook: Webhook) -> Route | None:
    return None if hook.integration_id is None else Route(hook.integration_id, hook.destination)


def large_payloads(rows: Sequence[EventRow]) -> dict[uuid.UUID, str]:
    """Return the payloads, as stored, that were not read with their rows."""
    missing = {row.event_id for row in rows if row.data is None}
    if not missing:
        return {}
    return dict(Event.objects.filter(id__in=missing).values_list("id", Cast("payload", TextField())))


def body(row: EventRow, payloads: Mapping[uuid.UUID, str]) -> bytes:
    """Return the delivered JSON of a row."""
    data = payloads[row.event_id] if row.data is None else row.data
    return envelope_bytes(row.event_id, row.event_type, datetime.fromtimestamp(row.event_at, UTC), data)
