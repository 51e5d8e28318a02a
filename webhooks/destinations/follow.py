"""Follow-ups: a delivery started a run elsewhere, which is polled until it ends: "delivered -> build #812 -> passed"."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from django.utils import timezone

from core import redact
from core.errors import Conflict, OutboundError, RepoGuardError
from core.fields import DecryptError
from core.models.outbound import CallPurpose
from core.models.work import WorkState
from core.texts import storable, storable_json
from core.work import Later, LeaseLost, Run
from core.work_registry import Kind
from integrations.calls import connector_for
from integrations.choices import Status
from integrations.contract.outbound import Followed, FollowUpStart, Progress
from integrations.models import Integration
from webhooks.models import FollowUp, Webhook

MAX_URL = 2000
MAX_LABEL = 200
MAX_RESULT = 40
SHORTEST_POLL, LONGEST_POLL = 5.0, 3600.0
USUAL_POLL, GROWTH = 60.0, 1.3
"""What runs longer is asked about more seldom, each time by a factor, until so many seconds lie between."""
QUOTA_SHARE = 10
"""One run is polled at a tenth at most of the pace that its integration's quota and rate limit allow."""
POLLS_AT_ONCE = 8
"""By one worker; a slow system takes a thread from the others, not all of them their turn."""
FIRST_PAUSE = 30.0
LONGEST_FOLLOWED = 7 * 86_400.0
MAX_MEMORY = 100_000
GAVE_UP = "no result"
_RESET = ("state", "run_after", "attempts", "lease_owner", "lease_token", "progress", "error", "finished_at",
          "url", "label", "link", "result", "memory", "give_up_at")  # fmt: skip


def checked(start: FollowUpStart | None) -> FollowUpStart | None:
    """Return what can be stored of a connector's start of a follow-up. Raises ValueError or TypeError for what never could be."""
    if start is None:
        return None
    if not start.url or len(start.url) > MAX_URL:
        raise ValueError(f"A follow-up's URL must have 1 to {MAX_URL} characters.")
    return replace(
        start,
        url=storable(start.url),
        label=storable(start.label)[:MAX_LABEL],
        link=shown_link(start.link),
        first_poll=min(max(start.first_poll, 0.0), LONGEST_POLL),
        give_up_after=min(max(start.give_up_after, 0.0), LONGEST_FOLLOWED),
        memory=checked_memory(start.memory),
    )


def checked_memory(memory: Any) -> dict[str, Any]:
    """Return what a connector wants to remember as plain JSON; raises ValueError or TypeError."""
    text = json.dumps(dict(memory), allow_nan=False)
    if len(text) > MAX_MEMORY:
        raise ValueError(f"A follow-up's memory has {len(text)} characters; at most {MAX_MEMORY} are kept.")
    return cast("dict[str, Any]", storable_json(json.loads(text)))


def shown_link(link: str) -> str:
    """Return a link for people: http or https, without credentials, else none."""
    link = storable(link)
    return redact.url(link) if link.lower().startswith(("http://", "https://")) and len(link) <= MAX_URL else ""


def start(started: Sequence[tuple[uuid.UUID, FollowUpStart]], now: datetime) -> None:
    """Store the follow-ups of deliveries, in the transaction that records their outcome; one that was sent again starts anew."""
    rows = [
        FollowUp(
            delivery_id=delivery_id,
            url=told.url,
            label=told.label,
            link=told.link,
            memory=dict(told.memory),
            run_after=now + timedelta(seconds=told.first_poll),
            give_up_at=now + timedelta(seconds=told.give_up_after),
        )
        for delivery_id, told in started
    ]
    if rows:
        FollowUp.objects.bulk_create(rows, update_conflicts=True, unique_fields=["delivery"], update_fields=_RESET)


def run(held: Run) -> Later | None:
    """Poll once; returns when to poll again, or None when it has ended. Raises what ends it for good."""
    row = cast("FollowUp", held.row)
    if timezone.now() >= row.give_up_at:
        _save(row, held.token, result=GAVE_UP)
        raise Conflict("It did not end in the time it was given; look it up at the other system.")
    try:
        integration = _integration(row)
        if integration.status != Status.ACTIVE:
            return _again(held, row, Conflict(f"The integration {integration.name} is inactive."))
        connector = connector_for(integration, CallPurpose.FOLLOW_UP)
    except DecryptError as error:  # a key that is missing for now must not end what goes on elsewhere
        return _again(held, row, Conflict(str(error)))
    if not isinstance(connector, Followed):
        raise Conflict(f"{connector.title} can't tell how its runs end.")
    try:
        found = connector.poll(row.url, row.memory)
    except OutboundError as error:
        if error.permanent:
            raise
        return _again(held, row, error)
    return _noted(held, row, found, integration)


def _integration(row: FollowUp) -> Integration:
    hooks = Webhook.objects.filter(deliveries=row.delivery_id, deleted_at__isnull=True)
    found = Integration.objects.filter(id__in=hooks.values("integration_id")).defer("previous_credentials").first()
    if found is None:
        raise Conflict("Its webhook was deleted, or has no integration any more that could be asked.")
    return found


def _noted(held: Run, row: FollowUp, found: Progress, integration: Integration) -> Later | None:
    polls = _polls(row) + 1
    _save(
        row,
        held.token,
        label=storable(found.label)[:MAX_LABEL] or row.label,
        link=shown_link(found.link) or row.link,
        memory=checked_memory(found.memory) or row.memory,
        result=storable(found.result or "")[:MAX_RESULT],
        progress={"polls": polls},
    )
    if found.result:
        return None
    asked = usual_pause(polls) if found.poll_in is None else found.poll_in
    return Later(min(max(asked, SHORTEST_POLL, _allowed_pause(integration)), LONGEST_POLL))


def usual_pause(polls: int) -> float:
    """Return the seconds to wait after so many polls: 5 at first, then ever more, a minute at most."""
    return min(SHORTEST_POLL * GROWTH ** min(polls - 1, 50), USUAL_POLL)


def _allowed_pause(integration: Integration) -> float:
    limits = ((60.0, integration.rate_per_minute), (float(integration.quota_window_seconds), integration.quota_limit))
    return max(QUOTA_SHARE * seconds / calls if calls else 0.0 for seconds, calls in limits)


def _polls(row: FollowUp) -> int:
    return int(row.progress.get("polls", 0))


def _again(held: Run, row: FollowUp, error: RepoGuardError) -> Later:
    """Ask later, ever later: a system that is down must not end what it is asked about."""
    failures = int(row.progress.get("failures", 0)) + 1
    _save(row, held.token, progress={"polls": _polls(row), "failures": failures, "error": storable(redact.text(error.message))[:500]})
    pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_POLL)
    return Later(max(pause, min(error.retry_after or 0.0, LONGEST_POLL)))


def _save(row: FollowUp, token: uuid.UUID, **fields: Any) -> None:
    held = FollowUp.objects.filter(pk=row.pk, state=WorkState.RUNNING, lease_token=token)
    if not held.update(**fields):
        raise LeaseLost(str(row.id))


KIND = Kind("webhooks.follow_ups", FollowUp, run, called=True, at_once=POLLS_AT_ONCE)
