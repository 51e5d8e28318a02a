"""Statuses of commits: of the events about one commit the latest one stands there, also where an older one is told later."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.http.door import BadAnswer
from integrations.connectors.gitlab.client import Client, message, project_path
from integrations.contract.outbound import Memory, NothingToTell, Outcome, OutgoingEvent
from integrations.contract.telling import tell_latest
from integrations.messages.cutting import cut, line
from integrations.messages.message import message_of

MAX_DESCRIPTION = MAX_TARGET = 255
_STATES = {"scan.started": "running", "scan.failed": "failed", "gate.passed": "success", "gate.failed": "failed"}
_RESULTS = {"passed": "success", "failed": "failed"}
_TRANSITION = re.compile(r"Cannot transition status via :\w+ from :(\w+)")
NO_STATE = "only scan.started, scan.completed, scan.failed, gate.passed, gate.failed and gate.changed say how a commit stands."


def told(client: Client, event: OutgoingEvent, project: str, options: Mapping[str, Any], memory: Memory) -> Outcome:
    """Set the commit's status, unless a newer event has. Raises OutboundError and NothingToTell."""
    context = options.get("context") or "repoguard/gate"
    if event.type == "webhook.test":
        return _tested(client, project)
    status, sha, codes = layout(event, context), message_of(event).full_commit, []

    def tell(state: Mapping[str, Any]) -> None:
        codes.append(_send(client, project, sha, state))

    tell_latest(memory, f"status:{project}:{sha}:{context}", event, status, tell)
    if codes[-1] is None:
        return Outcome(ok=True, details={"state": status["state"], "note": "GitLab had this state already."})
    return Outcome(ok=True, status=codes[-1], details={"state": status["state"], "name": context})


def _tested(client: Client, project: str) -> Outcome:
    """Look for the project: a test has no commit whose status could be set."""
    client.get(project_path(project), f"the project {project[:200]}")
    return Outcome(ok=True, details={"note": "A test has no commit to set the status of; GitLab shows the project to this token."})


def layout(event: OutgoingEvent, context: str) -> dict[str, str]:
    """Return the status that an event gives its commit; raises NothingToTell, which says why it gives none."""
    shown = message_of(event)
    state = _state(event)
    if not shown.full_commit:
        raise NothingToTell("the event names no full commit, so there is none whose status could be set.")
    counts = "; ".join(count.words() for count in shown.counts if count.total)
    reasons = "; ".join(line(reason) for reason in shown.reasons)
    words = ". ".join(filter(None, (shown.title.partition(":")[0], reasons or line(shown.text).rstrip("."), counts)))
    status = {"state": state, "name": context, "description": cut(words, MAX_DESCRIPTION)}
    link = next((one for one in (shown.link, event.link) if one and len(one) <= MAX_TARGET), "")
    return {**status, **({"target_url": link} if link else {})}


def _state(event: OutgoingEvent) -> str:
    """Return the state that an event leaves its commit in. A scan that no gate decides about passes where it is complete."""
    if event.type == "scan.completed":
        if event.data.get("gate"):
            raise NothingToTell("the status is set by the gate's own event, which comes with this one.")
        return "success" if event.data.get("status") == "completed" else "failed"
    state = _RESULTS.get(str(event.data.get("result"))) if event.type == "gate.changed" else _STATES.get(event.type)
    if not state:
        raise NothingToTell(NO_STATE)
    return state


def _send(client: Client, project: str, sha: str, status: Mapping[str, Any]) -> int | None:
    """Return the answer's status, None where GitLab refuses to set a state that the commit has already."""
    try:
        return client.post(f"{project_path(project)}/statuses/{sha}", status, f"the status of the commit {sha[:12]}").status
    except BadAnswer as error:
        found = _TRANSITION.search(message(error)) if error.status_code == 400 else None
        if found and found[1] == status["state"]:
            return None
        raise
