"""What an event asks for: which branch of which repository, at which commit. Pure; whatever a payload holds, it raises nothing."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices

from core.models import Event

PUSHED, PULL_REQUEST, ALERT = "repository.pushed", "pull_request.updated", "inbound.alert_changed"
_BRANCH = "refs/heads/"
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_REF = re.compile(r"[^\s\\~^:?*\[]{1,255}")
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
    ref, after = _text(data.get("ref")), _text(data.get("after"))
    if data.get("deleted") is True or not after.strip("0") or (ref.startswith("refs/") and not ref.startswith(_BRANCH)):
        return None
    branch = ref.removeprefix(_BRANCH)
    if event.repository_id is None or not _REF.fullmatch(branch):
        return None
    return Wish(Cause.PUSH, event.repository_id, ref=branch, commit=_commit(after))


def _pull_request(event: Event, data: dict[str, Any]) -> Wish | None:
    """A pull request with new commits. The branch of a fork, whatever its name, is none of this repository's."""
    request, repository = _part(data, "pull_request"), _part(data, "repository")
    head = _part(request, "head")
    if event.repository_id is None or _text(data.get("action")) not in _HAS_COMMITS or _text(request.get("state")) in ("closed", "merged"):
        return None
    ref, home, here = _text(head.get("ref")), _text(_part(head, "repo").get("full_name")), _text(repository.get("full_name"))
    base, number = _text(_part(request, "base").get("ref")), data.get("number")
    if (home and home != here) or (not home and ref in (base, _text(repository.get("default_branch")))):
        if not isinstance(number, int):
            return None
        ref = f"refs/pull/{number}/merge"
    if not _REF.fullmatch(ref):
        return None
    return Wish(Cause.PULL_REQUEST, event.repository_id, ref=ref, commit=_commit(_text(head.get("sha"))))


def _alert(event: Event, data: dict[str, Any]) -> Wish | None:
    """An alert that changed. Its platform need not be the repository's, so it may name it only."""
    ref, name, type = _text(_part(data, "alert").get("ref")), _text(data.get("repository")), _text(data.get("provider"))
    branch = ref.removeprefix(_BRANCH) if ref.startswith(_BRANCH) else ""
    if not type or not (event.repository_id or name) or (branch and not _REF.fullmatch(branch)):
        return None
    return Wish(Cause.ALERT, event.repository_id, name[:255], event.owner_id, ref=branch, type=type[:40])


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() else ""


def _part(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _commit(text: str) -> str:
    return text.lower() if _COMMIT.fullmatch(text) else ""


_READERS = {PUSHED: _pushed, PULL_REQUEST: _pull_request, ALERT: _alert}
