"""repository_dispatch: an event of its own name, which workflows on the default branch listen to.

https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
GitHub answers 204 whether a workflow listens or not, and names no run. Nor can it be asked whether an event came: after a call that
got no answer it is sent again, and `client_payload.id` is how a workflow knows that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.errors import OutboundError
from core.http.door import surely_undone
from integrations.connectors.github.telling.told import Telling, telling_already
from integrations.contract.fields import Field
from integrations.contract.outbound import Outcome, Reserved
from integrations.messages.cutting import cut

MOST_BYTES = 64_000
MOST_TYPE = 100
_STEPS = ((4_000, 50), (1_000, 20), (300, 5), (100, 2))
_DEEPEST = 12

FIELDS = (
    Field("event_type", "Event type", max_length=MOST_TYPE, placeholder="repoguard-gate", only_if=("action", ("repository_dispatch",)),
          help="What workflows listen to (on: repository_dispatch: types: […]); their file must be on the default branch. Left out, it is"
          " the event's own type, such as gate.failed."),
)  # fmt: skip


def tell(telling: Telling) -> Outcome:
    """Send the event, once unless GitHub's answer was lost."""
    key = f"dispatch:{telling.event.id}"
    body = {"event_type": event_type(telling), "client_payload": client_payload(telling)}
    path, what = f"{telling.path}/dispatches", f"dispatches of {telling.repository}"
    standing = telling.memory.reserve(key, telling.event.holder)
    details = {"repository": telling.repository, "event_type": body["event_type"]}
    if standing is Reserved.BUSY:
        return telling_already("this event")
    if standing is Reserved.MADE:
        return Outcome(ok=True, confirmed=False, details={**details, "note": "It was sent before."})
    try:
        reply = telling.client.post(path, body, what=what)
    except OutboundError as error:
        if surely_undone(error):
            telling.memory.forget(key)
        raise
    telling.memory.put(key, "sent")
    return Outcome(ok=True, confirmed=False, status=reply.status, details=details)


def event_type(telling: Telling) -> str:
    """Return the name that workflows listen to."""
    return cut(str(telling.options.get("event_type") or telling.event.type), MOST_TYPE)


def client_payload(telling: Telling) -> dict[str, Any]:
    """Return what the workflow gets, of at most ten names and MOST_BYTES; data that is larger is cut, and `cut` says so."""
    event, said = telling.event, telling.message
    payload: dict[str, Any] = {
        "id": str(event.id),
        "type": event.type,
        "timestamp": event.timestamp.isoformat(),
        "title": cut(said.title, 500),
        "repository": said.repository,
        "branch": said.branch,
        "commit": said.commit,
        "url": said.link,
        "data": dict(event.data),
    }
    if size(payload) < MOST_BYTES:
        return payload
    for longest, most in _STEPS:
        told = f"GitHub takes 64 KB: texts were cut to {longest:,} characters, lists and objects to {most} items. The portal has all."
        shorter = payload | {"data": _shortened(event.data, longest, most, 0), "cut": told}
        if size(shorter) < MOST_BYTES:
            return shorter
    return payload | {"data": {}, "cut": "GitHub takes 64 KB: data was left out. The portal has it."}


def size(payload: Mapping[str, Any]) -> int:
    """Return the bytes of the JSON as it is sent."""
    return len(json.dumps(payload, separators=(",", ":")).encode())


def _shortened(value: Any, longest: int, most: int, depth: int) -> Any:
    if isinstance(value, str):
        return cut(value, longest)
    if isinstance(value, Mapping):
        # names are not cut: one that is too long to stay goes with its value
        kept = [name for name in value if len(name) <= longest][: most * 2]
        return {name: _shortened(value[name], longest, most, depth + 1) for name in kept} if depth < _DEEPEST else {}
    if isinstance(value, list):
        return [_shortened(one, longest, most, depth + 1) for one in value[:most]] if depth < _DEEPEST else []
    return value
