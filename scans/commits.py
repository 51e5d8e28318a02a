"""A sink of the bus: remembers commits that were pushed or that a pull request stands at, so that their gate is waited for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from core import bus
from core.models import Event
from integrations.contract.payloads import at
from scans.models import KnownCommit
from scans.refs import commit_in

_MOST_OF_A_PUSH = 50


def _pushed(data: Any) -> Iterator[Any]:
    """Yield the commit that the ref is at, and the latest of those that came with it."""
    commits = at(data, "commits")
    listed = commits[-_MOST_OF_A_PUSH:] if isinstance(commits, list) else []
    yield at(data, "after")
    yield from (at(one, "id") for one in listed)


def _headed(data: Any) -> Iterator[Any]:
    """Yield the head of a pull request, and the commit that GitHub merged it into to be tried, which its Actions see."""
    yield at(data, "pull_request", "head", "sha")
    yield at(data, "pull_request", "merge_commit_sha")


_NAMED = {"repository.pushed": _pushed, "pull_request.updated": _headed}


@bus.takes(_NAMED)
def on_events(events: Sequence[Event]) -> None:
    """Remember the commits that these events name. One statement where there are any, and it never fails for what an event says."""
    named = {
        (event.repository_id, commit)
        for event in events
        if event.repository_id is not None and event.type in _NAMED
        for commit in map(commit_in, _NAMED[event.type](event.payload))
        if commit
    }
    # in one order, or two transactions could wait for each other
    rows = [KnownCommit(repository_id=id, commit=commit) for id, commit in sorted(named)]
    if rows:
        KnownCommit.objects.bulk_create(rows, ignore_conflicts=True)


def is_known(repository_id: uuid.UUID, commit: str) -> bool:
    """Say whether a commit was announced; Bitbucket names those of pull requests by their first twelve digits."""
    return KnownCommit.objects.filter(repository_id=repository_id, commit__in={commit, commit[:12]}).exists()
