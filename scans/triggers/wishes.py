"""What an event asks for: which branch of which repository, at which commit. Pure; whatever a payload holds, it raises nothing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices

from core.models import Event
from integrations.contract.payloads import at
from scans.refs import commit_in, is_branch, is_ref, plain_ref

PUSHED, PULL_REQUEST, ALERT = "repository.pushed", "pull_request.updated", "inbound.alert_changed"
_HAS_COMMITS = frozenset({"opened", "open", "created", "synchronize", "update", "updated", "reopened", "reopen", "ready_for_review"})


class Cause(TextChoices):
    """Which of a source's switches a wish is up to."""

    PUSH = "scan_on_push"
    PULL_REQUEST = "scan_on_pull_request"
    ALERT = "scan_on_alert"


@dataclass(frozen=True)
class Wish:
    """A scan that an event asks for; an empty ref is the default branch."""

    cause: Cause
    repository_id: uuid.UUID | None
    full_name: str = ""
    owner_id: uuid.UUID | None = None
    ref: str = ""
    commit: str = ""
    type: str = ""
    """Only integrations of this type: those that an alert came from."""


def wish_of(event: Event) -> Wish | None:
    """Return what an event asks for, if anything."""
    data: Any = event.payload
    if event.type not in _READERS or not isinstance(data, dict):
        return None
    return _READERS[event.type](event, data)


def _pushed(event: Event, data: dict[str, Any]) -> Wish | None:
    """A push of commits to a branch; tags and branches that were deleted have nothing to scan."""
    ref, after = _text(data, "ref"), _text(data, "after")
    if event.repository_id is None or data.get("deleted") is True or not after.strip("0"):
        return None
    branch = plain_ref(ref)
    return Wish(Cause.PUSH, event.repository_id, ref=branch, commit=commit_in(after)) if is_branch(ref) and is_ref(branch) else None


def _pull_request(event: Event, data: dict[str, Any]) -> Wish | None:
    """A pull request with new commits. The branch of a fork, whatever its name, is none of this repository's."""
    state = _text(data, "pull_request", "state")
    if event.repository_id is None or _text(data, "action") not in _HAS_COMMITS or state in ("closed", "merged"):
        return None
    ref, home = _text(data, "pull_request", "head", "ref"), _text(data, "pull_request", "head", "repo", "full_name")
    base, here = _text(data, "pull_request", "base", "ref"), _text(data, "repository", "full_name")
    if (home and home != here) or (not home and ref in (base, _text(data, "repository", "default_branch"))):
        number = data.get("number")
        if not isinstance(number, int):
            return None
        ref = f"refs/pull/{number}/merge"
    commit = commit_in(at(data, "pull_request", "head", "sha"))
    return Wish(Cause.PULL_REQUEST, event.repository_id, ref=ref, commit=commit) if is_ref(ref) else None


def _alert(event: Event, data: dict[str, Any]) -> Wish | None:
    """An alert that changed. Its platform need not be the repository's, so it may name it only."""
    ref, name, type = _text(data, "alert", "ref"), _text(data, "repository"), _text(data, "provider")
    branch = plain_ref(ref) if ref.startswith("refs/") and is_branch(ref) else ""
    if not type or not (event.repository_id or name) or (branch and not is_ref(branch)):
        return None
    return Wish(Cause.ALERT, event.repository_id, name[:255], event.owner_id, ref=branch, type=type[:40])


def _text(data: dict[str, Any], *path: str) -> str:
    found = at(data, *path)
    return found if isinstance(found, str) and found.isprintable() else ""


_READERS = {PUSHED: _pushed, PULL_REQUEST: _pull_request, ALERT: _alert}
READ = frozenset(_READERS)
"""The types of events that may ask for scans."""
