"""Has platforms send again what sources missed: work in steps, whose cursor and figures are stored together.

A process that is killed loses at most one step, of a few requests: these are made again, and what arrives twice is known by its id.
A limit is not waited for: the work is put aside until it ends.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from django.db.models import F
from django.utils import timezone

from core import work_registry
from core.errors import Conflict, Unavailable
from core.fields import DecryptError
from core.limited import LIMITS, put_aside
from core.models.outbound import CallPurpose
from core.models.work import WorkState
from core.texts import storable_json
from core.work import Done, Later, LeaseLost, Run
from integrations.calls import connector_for
from integrations.contract.backfill import Backfill, MissedQuery, MissedStep
from webhooks.inbound.missed import addresses_of, hindrance, taken_in
from webhooks.inbound.selectors import live_sources
from webhooks.models import InboundBackfill, InboundSource

KIND_NAME = "missed inbound deliveries"
MORE = "More were missed than are requested at once. When these have arrived, request the rest."
GONE = "Some were too old to be sent again."


def work_off(run: Run) -> Later | Done | None:
    """Request missed deliveries for a while: the handler of its kind of work."""
    row = cast("InboundBackfill", run.row)
    source = live_sources().filter(id=row.source_id).first()
    if source is None:
        return Done("Its source was deleted.")
    connector = _connector(source)
    query = MissedQuery(source.config, addresses_of(source), row.since)
    try:
        for step in connector.request_missed(query, partial(taken_in, source.pk, row.since), row.progress.get("cursor") or {}):
            _keep(run, step)
            if run.time_is_up():
                work_registry.wake(KIND_NAME)
                return Later()
    except LIMITS as error:
        return put_aside(error)
    row.refresh_from_db(fields=["more", "gone"])
    return Done(" ".join([MORE] * row.more + [GONE] * bool(row.gone)))


def _connector(source: InboundSource) -> Backfill:
    """Return the platform as the source's integration reaches it. Raises RepoGuardError where it can't be used."""
    if sentence := hindrance(source):
        raise Conflict(sentence, code="not_set_up")
    if not source.active:
        raise Conflict("The source is switched off: it would refuse what is sent again. Enable it first.", code="inactive")
    try:
        integration = source.integration
        assert integration is not None  # noqa: S101 - hindrance() would have said so
        if integration.owner_id != source.owner_id:
            raise Conflict(
                f"The integration {integration.name} is not the source's owner's any more. Choose another one.", code="not_set_up"
            )
        return cast("Backfill", connector_for(integration, CallPurpose.BACKFILL))
    except DecryptError as error:
        raise Unavailable(str(error)) from None


def _keep(run: Run, step: MissedStep) -> None:
    """Store a step and where to go on; raises LeaseLost."""
    held = InboundBackfill.objects.filter(pk=run.row.pk, state=WorkState.RUNNING, lease_token=run.token)
    figures = {"looked_at": F("looked_at") + step.looked_at, "requested": F("requested") + step.requested, "gone": F("gone") + step.gone}
    progress = storable_json({"cursor": dict(step.cursor)})
    if not held.update(progress=progress, more=step.more, updated_at=timezone.now(), **figures):
        raise LeaseLost(str(run.row.pk))


KIND = work_registry.Kind(KIND_NAME, InboundBackfill, work_off)
