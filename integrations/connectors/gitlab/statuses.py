"""Statuses of commits: the last word counts, also where an older event is told later.

What is told last is remembered before it is sent and looked at again afterwards: where something newer came in between, that is sent
once more, so that whichever of two calls arrives last, GitLab ends up with the newer state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from core.http.door import BadAnswer
from integrations.connectors.gitlab.client import Client, message, project_path
from integrations.contract.outbound import Memory, Outcome, OutgoingEvent, Remembered
from integrations.messages.cutting import cut, line
from integrations.messages.message import message_of

MAX_DESCRIPTION = MAX_TARGET = 255
_STATES = {"scan.started": "running", "scan.failed": "failed", "gate.passed": "success", "gate.failed": "failed"}
_RESULTS = {"passed": "success", "failed": "failed"}
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TRANSITION = re.compile(r"Cannot transition status via :\w+ from :(\w+)")
_ROUNDS = 4
NO_STATE = "Only scan.started, scan.failed, gate.passed, gate.failed and gate.changed say how a commit stands; nothing was told of this."


def told(client: Client, event: OutgoingEvent, project: str, options: Mapping[str, Any], memory: Memory) -> Outcome:
    """Set the commit's status, unless a newer event has. Raises OutboundError."""
    context = options.get("context") or "repoguard/gate"
    status = layout(event, context)
    if event.type == "webhook.test":
        return _tested(client, project)
    if isinstance(status, str):
        return Outcome(ok=True, details={"skipped": status})
    sha, order = message_of(event).commit, _order(event)
    key, done = f"status:{project}:{sha}:{context}", f"told:{project}:{sha}:{context}"
    if _is(memory.recall(done), order):
        return Outcome(ok=True, details={"note": "It was told before; GitLab was not told again."})
    latest = memory.latest(key, order, status)
    if latest.external_id != order and event.attempt == 1:
        return Outcome(ok=True, details={"skipped": "A newer state of this commit is told already; this older one was not."})
    # an earlier try of this older event may have come after the newer one: then that one is told again
    for _ in range(_ROUNDS):
        code = _send(client, project, sha, latest.data)
        memory.latest(done, latest.external_id)
        now = memory.recall(key)
        if now is None or now.external_id == latest.external_id:
            return _outcome(latest, order, code)
        latest = now
    return Outcome(ok=False, error="The commit's status changes faster than it can be told; the last one is told soon.", retry_after=5.0)


def _tested(client: Client, project: str) -> Outcome:
    """Look for the project: a test has no commit whose status could be set."""
    client.get(project_path(project), f"the project {project[:200]}")
    return Outcome(ok=True, details={"skipped": "A test has no commit to set the status of; GitLab shows the project to this token."})


def layout(event: OutgoingEvent, context: str) -> dict[str, str] | str:
    """Return the status that an event gives its commit, or the sentence why it gives none."""
    shown = message_of(event)
    state = _RESULTS.get(str(event.data.get("result")), "") if event.type == "gate.changed" else _STATES.get(event.type)
    if not state:
        return NO_STATE
    if not _SHA.fullmatch(shown.commit):
        return "The event names no full commit, so there is none whose status could be set."
    counts = "; ".join(count.words() for count in shown.counts if count.total)
    reasons = "; ".join(line(reason) for reason in shown.reasons)
    words = ". ".join(filter(None, (shown.title.partition(":")[0], reasons or line(shown.text).rstrip("."), counts)))
    status = {"state": state, "name": context, "description": cut(words, MAX_DESCRIPTION)}
    link = next((one for one in (shown.link, event.link) if one and len(one) <= MAX_TARGET), "")
    return {**status, **({"target_url": link} if link else {})}


def _send(client: Client, project: str, sha: str, status: Mapping[str, Any]) -> int | None:
    try:
        return client.post(f"{project_path(project)}/statuses/{sha}", status, f"the status of the commit {sha[:12]}").status
    except BadAnswer as error:
        found = _TRANSITION.search(message(error)) if error.status_code == 400 else None
        if found and found[1] == status["state"]:  # it has that state already
            return error.status_code
        raise


def _outcome(latest: Remembered, order: str, code: int | None) -> Outcome:
    details = {"state": latest.data.get("state"), "name": latest.data.get("name")}
    if latest.external_id != order:
        details["note"] = "A newer event came in between: its state was told once more."
    if code == 400:
        details["note"], code = "GitLab had this state already.", None
    return Outcome(ok=True, status=code, details=details)


def _order(event: OutgoingEvent) -> str:
    """Return a text by which events are ordered as they happened; of one moment, by their ids, which are made in order."""
    return f"{event.timestamp.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z {event.id}"


def _is(remembered: Remembered | None, order: str) -> bool:
    return remembered is not None and remembered.external_id == order
