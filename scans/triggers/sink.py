"""The sink of scans: what happened to a repository has its sources scan it. In the publisher's transaction, rows only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q

from core import bus
from core.models import Event
from integrations.models import RepositorySource
from integrations.selectors.sources import working_sources
from scans.services.queueing import Wanted, queue_scans
from scans.triggers.wishes import READ, Cause, Wish, wish_of

ALERTS_SETTLE = timedelta(minutes=1)
"""Alerts come in crowds, such as when a product is switched on: one scan answers all of a minute."""


@bus.takes(READ)
def on_events(events: Sequence[Event]) -> None:
    """Queue the scans that events ask for: no statement where they ask for none, else a constant number."""
    wishes = [wish for event in events if (wish := wish_of(event))]
    if not wishes:
        return
    ids = {wish.repository_id for wish in wishes if wish.repository_id}
    names = {wish.full_name for wish in wishes if not wish.repository_id}
    types = {wish.type for wish in wishes if not wish.repository_id}
    named = Q(repository__full_name__in=names, integration__type__in=types)
    sources = list(working_sources().filter(Q(repository_id__in=ids) | named if names else Q(repository_id__in=ids)))
    wanted = [_wanted(wish, source) for wish in wishes for source in sources if _concerns(wish, source)]
    if wanted:
        queue_scans(wanted)


def _concerns(wish: Wish, source: RepositorySource) -> bool:
    if wish.type and source.integration.type != wish.type:
        return False
    if not getattr(source, wish.cause.value):
        return False
    if wish.repository_id:
        return source.repository_id == wish.repository_id
    return source.repository.full_name == wish.full_name and wish.owner_id in (None, source.repository.owner_id)


def _wanted(wish: Wish, source: RepositorySource) -> Wanted:
    settle = ALERTS_SETTLE if wish.cause == Cause.ALERT else timedelta()
    return Wanted(source.integration_id, source.repository_id, wish.ref or source.repository.default_branch, wish.commit, settle=settle)
