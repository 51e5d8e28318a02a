"""Recovering deliveries by time range: preview, start, pause, resume and cancel."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

from django.db import transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import context, work_registry
from core.errors import Conflict, InvalidInput
from core.event_types import check_pattern
from core.models.work import WorkState
from webhooks.engine.due import lock_states
from webhooks.models import Replay, Webhook
from webhooks.models.replay import ReplayStatus
from webhooks.recovery import RECOVERABLE, Preview, Selection, preview, shown_status, unfinished
from webhooks.replaying import KIND_NAME

DEFAULT_RATE, LOWEST_RATE, HIGHEST_RATE = 50.0, 0.1, 500.0
_MOST_TYPES = 50
_MOST_ATTEMPTS = 10


class RecoverValues(TypedDict, total=False):
    """What a caller may say; `until` is now, `statuses` failed and `rate_per_second` DEFAULT_RATE where they are left out."""

    since: datetime
    until: datetime | None
    statuses: list[str]
    event_types: list[str]
    rate_per_second: float


def preview_recovery(webhook: Webhook, values: RecoverValues) -> Preview:
    """Return how many deliveries a recovery would send, and how long it would take. Raises InvalidInput."""
    return preview(*_checked(webhook, values))


def start_recovery(webhook: Webhook, values: RecoverValues) -> Replay:
    """Start a recovery; workers go on with it. Raises InvalidInput, and Conflict when the webhook is inactive or has one already."""
    selection, rate = _checked(webhook, values)
    found = preview(selection, rate)
    with transaction.atomic():
        state = lock_states([webhook.id]).get(webhook.id)  # two starts at once take turns
        if state is None or not state.enabled:
            raise Conflict("The webhook is inactive: nothing could be sent. Enable it first, then recover.", code="webhook_inactive")
        if Replay.objects.filter(unfinished(), webhook_id=webhook.id).exists():
            raise Conflict("A recovery of this webhook is running or paused. Wait until it is done, or cancel it.", code="replay_running")
        replay = Replay.objects.create(
            webhook=webhook, owner_id=webhook.owner_id, since=selection.since, until=selection.until, statuses=list(selection.statuses),
            event_types=list(selection.event_types), rate_per_second=rate, estimated=found.count, max_attempts=_MOST_ATTEMPTS,
            started_by=context.actor().label[:200],
        )  # fmt: skip
        said = {"since": selection.since, "until": selection.until, "statuses": list(selection.statuses), "rate_per_second": rate}
        changes = {name: [None, value] for name, value in said.items()} | {"deliveries": [None, found.count]}
        audit.record(AuditVerb.ACTED, webhook, action="recover", changes=changes, owner_id=webhook.owner_id)
        work_registry.wake(KIND_NAME)
    return _fresh(replay)


def pause_replay(replay: Replay) -> Replay:
    """Stop requeueing within seconds; what was requeued before is still sent. Raises Conflict when it is not running."""
    return _switch(replay, "pause", (ReplayStatus.RUNNING,), {"status": ReplayStatus.PAUSED})


def resume_replay(replay: Replay) -> Replay:
    """Go on where it stopped. Raises Conflict when it is neither paused nor failed, or its webhook is inactive."""
    with transaction.atomic():
        state = lock_states([replay.webhook_id]).get(replay.webhook_id)
        if state is None or not state.enabled:
            raise Conflict("The webhook is inactive: nothing could be sent. Enable it first, then resume.", code="webhook_inactive")
        others = Replay.objects.filter(unfinished(), webhook_id=replay.webhook_id).exclude(pk=replay.pk)
        if others.exists():
            raise Conflict("Another recovery of this webhook is running or paused.", code="replay_running")
        again: dict[str, Any] = {"status": ReplayStatus.RUNNING, "error": "", "run_after": timezone.now(), "attempts": 0}
        changed = _switch(replay, "resume", (ReplayStatus.PAUSED, ReplayStatus.FAILED), again)
        # a run that failed for good is queued anew; one that is being put back at this moment looks again by itself
        Replay.objects.filter(pk=replay.pk, state=WorkState.FAILED).update(state=WorkState.QUEUED, finished_at=None)
        work_registry.wake(KIND_NAME)
    return _fresh(changed)


def cancel_replay(replay: Replay) -> Replay:
    """End it for good; what was requeued before is still sent. Raises Conflict when it has ended."""
    with transaction.atomic():
        ending = {"status": ReplayStatus.CANCELLED, "run_after": timezone.now()}
        changed = _switch(replay, "cancel", (ReplayStatus.RUNNING, ReplayStatus.PAUSED, ReplayStatus.FAILED), ending)
        idle = Replay.objects.filter(pk=replay.pk, state__in=[WorkState.QUEUED, WorkState.FAILED])
        idle.update(state=WorkState.DONE, finished_at=timezone.now())
    return _fresh(changed)


def _switch(replay: Replay, action: str, allowed: tuple[ReplayStatus, ...], values: dict[str, Any]) -> Replay:
    with transaction.atomic():
        current = Replay.objects.select_for_update().get(pk=replay.pk)
        status = shown_status(current)
        if status not in allowed:
            raise Conflict(f"This recovery is {status}: it can't be {_PAST[action]}.", code=f"replay_{status}")
        Replay.objects.filter(pk=replay.pk).update(**values, updated_at=timezone.now())
        audit.record(AuditVerb.ACTED, current, action=action, owner_id=current.owner_id)
    return _fresh(current)


_PAST = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}


def _fresh(replay: Replay) -> Replay:
    return Replay.objects.select_related("webhook").defer("webhook__secrets", "webhook__headers").get(pk=replay.pk)


def _checked(webhook: Webhook, values: RecoverValues) -> tuple[Selection, float]:
    """Return what is to be recovered and how fast; raises one InvalidInput that names every wrong field."""
    errors: dict[str, list[str]] = {}
    now = timezone.now()
    until = min(values.get("until") or now, now)
    since = values.get("since")
    if since is None:
        errors["since"] = ["is missing: say from when on deliveries are to be sent again."]
    elif since >= until:
        errors["since"] = ["must lie in the past, and before until."]
    statuses = values.get("statuses") or [RECOVERABLE[0].value]
    if unknown := sorted(set(statuses) - set(RECOVERABLE)):
        errors["statuses"] = [f"{', '.join(unknown)[:100]}: use any of {', '.join(RECOVERABLE)}."]
    rate = values.get("rate_per_second", DEFAULT_RATE)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        errors["rate_per_second"] = [f"must be {LOWEST_RATE:g} to {HIGHEST_RATE:g} deliveries a second."]
    types = values.get("event_types") or []
    if message := _wrong_types(types):
        errors["event_types"] = [message]
    if errors or since is None:
        raise InvalidInput("; ".join(f"{name}: {sentences[0]}" for name, sentences in errors.items()), fields=errors)
    return Selection(webhook.id, since, until, tuple(dict.fromkeys(statuses)), tuple(dict.fromkeys(types))), float(rate)


def _wrong_types(patterns: list[str]) -> str:
    if len(patterns) > _MOST_TYPES:
        return f"names {len(patterns)} types; at most {_MOST_TYPES} are possible."
    for pattern in patterns:
        try:
            check_pattern(pattern)
        except InvalidInput as error:
            return error.message.removeprefix("events: ")
    return ""
