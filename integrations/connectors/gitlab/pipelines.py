"""Pipelines: run by an event, found again by the variable that carries its id, and followed to their result."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from core.errors import InvalidInput, RepoGuardError
from core.http.door import BadAnswer, surely_undone
from integrations.connectors.gitlab.client import Client, message, project_path
from integrations.connectors.gitlab.fields import EVENT_VARIABLE, TRIGGER
from integrations.contract.outbound import FollowUpStart, Memory, Outcome, OutgoingEvent, Progress, Remembered, Reserved
from integrations.contract.telling import busy
from integrations.messages.flat import Value, fill, flat

_RESULTS = {"success": "passed", "failed": "failed", "canceled": "cancelled", "skipped": "skipped"}
_BY_HAND = "manual"
_LOOKED_THROUGH = 20
_POLL_BY_HAND = 300.0
_UNSURE = "An earlier try may have run a pipeline. It could not be looked up, so one was run again."


@dataclass(frozen=True)
class _Wanted:
    """The pipeline that an event asks for."""

    event: OutgoingEvent
    project: str
    body: Mapping[str, Any]
    token: str = field(repr=False)
    follows: bool
    """There is an access token, by which it can be looked up."""
    marked: bool


def run(
    client: Client, event: OutgoingEvent, project: str, options: Mapping[str, Any], tokens: Mapping[str, Any], memory: Memory
) -> Outcome:
    """Run a pipeline, unless an earlier try did, and remember it. Raises OutboundError, and InvalidInput for an event without a ref."""
    if not tokens.get("trigger_token"):
        return Outcome(ok=False, error="The integration has no pipeline trigger token: give it one to run pipelines.", permanent=True)
    key, follows = f"run:{event.id}", bool(tokens.get("access_token"))
    wanted = _Wanted(event, project, _body(event, options), tokens["trigger_token"], follows, options.get("mark", True))
    reserved = memory.reserve(key, event.holder)
    if reserved is Reserved.BUSY:
        return busy("Another delivery of this event runs a pipeline at GitLab just now; this one follows.")
    if reserved is Reserved.MADE:
        return _outcome(memory.recall(key), None, "It was run before; GitLab was not told again.", follows=follows)
    try:
        return _run(client, wanted, memory, key, again=reserved is Reserved.AGAIN)
    except RepoGuardError as error:
        if reserved is Reserved.FIRST and surely_undone(error):
            memory.forget(key)  # the next try need not look for what was never run
        raise


def _run(client: Client, wanted: _Wanted, memory: Memory, key: str, *, again: bool) -> Outcome:
    note, project = "", wanted.project
    if again:
        found, is_sure = _look(client, wanted) if wanted.follows and wanted.marked else (None, False)
        if found is not None:
            return _remember(memory, key, wanted, found, None, "An earlier try had run it.")
        note = "" if is_sure else _UNSURE
    try:
        reply = client.post(project_path(project) + TRIGGER, {"token": wanted.token, **wanted.body}, f"the pipeline of {project[:200]}")
    except BadAnswer as error:
        raise _explained(error, project) from None
    pipeline = reply.json()
    if not isinstance(pipeline, dict) or not _number(pipeline.get("id")):
        sentence = "GitLab answered without the pipeline's number. Check that the address is that of GitLab."
        raise BadAnswer(sentence, status_code=reply.status)
    return _remember(memory, key, wanted, pipeline, reply.status, note)


def poll(client: Client, memory: Mapping[str, Any]) -> Progress:
    """Ask once how a pipeline stands. Raises OutboundError."""
    project, pipeline = str(memory.get("project", "")), _number(memory.get("pipeline"))
    if not project or not pipeline:
        raise BadAnswer("Nothing is known of the pipeline that was run. Look it up at GitLab.", permanent=True)
    found = client.get(f"{project_path(project)}/pipelines/{pipeline}", f"the pipeline {pipeline} of {project[:200]}")
    status = found.get("status") if isinstance(found, dict) else None
    if not isinstance(status, str):
        raise BadAnswer("GitLab answered without the pipeline's status. Check that the address is that of GitLab.")
    return Progress(_RESULTS.get(status), _POLL_BY_HAND if status == _BY_HAND else None, _label(pipeline))


def _body(event: OutgoingEvent, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is posted, but for the token."""
    values = flat(event)
    ref = fill(options.get("ref") or "{branch}", values).strip()
    if not ref:
        raise InvalidInput.of(
            "ref", "The event names no branch for the pipeline (a test has none): name one in the webhook's field Branch or tag."
        )
    variables = {name: fill(text, values) for name, text in options.get("variables", {}).items()}
    if options.get("mark", True):
        variables.setdefault(EVENT_VARIABLE, str(event.id))
    inputs = {name: _typed(text, values) for name, text in options.get("inputs", {}).items()}
    return {"ref": ref, **({"variables": variables} if variables else {}), **({"inputs": inputs} if inputs else {})}


def _typed(text: str, values: Mapping[str, Value]) -> Any:
    """Return an input as GitLab types it; what an event says stays a text."""
    if text in ("true", "false") or re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,10})?|\[.*\]", text):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return fill(text, values)


def _remember(memory: Memory, key: str, wanted: _Wanted, pipeline: Mapping[str, Any], status: int | None, note: str) -> Outcome:
    number, link = _number(pipeline.get("id")), pipeline.get("web_url")
    data = {"project": wanted.project, "pipeline": number, "link": link[:2000] if isinstance(link, str) else ""}
    memory.put(key, str(number), data)
    return _outcome(memory.recall(key), status, note, follows=wanted.follows)


def _outcome(remembered: Remembered | None, status: int | None, note: str, *, follows: bool) -> Outcome:
    data = remembered.data if remembered else {}
    number, link = _number(data.get("pipeline")), str(data.get("link", ""))
    details = {name: value for name, value in {"pipeline": number, "link": link, "note": note}.items() if value}
    start = None
    if follows and number:
        start = FollowUpStart(f"{project_path(str(data['project']))}/pipelines/{number}", _label(number), link, memory=dict(data))
    return Outcome(ok=True, confirmed=follows, status=status, details=details, follow_up=start)


def _explained(error: BadAnswer, project: str) -> BadAnswer:
    said, sentence = message(error).lower(), ""
    if error.status_code == 404:
        sentence = (
            f"GitLab knows no project {project[:200]} for this trigger token (404). The token must be a pipeline trigger token of that very"
            " project; an access token will not do."
        )
    elif error.status_code == 400 and "variables" in said:
        sentence = f"{error.message} The project lets no trigger set variables: allow it there, or switch off “Send the variable"
        sentence += f" {EVENT_VARIABLE}” and use inputs."
    elif error.status_code == 400:
        sentence = f"{error.message} The branch or tag may be missing there, or the rules of .gitlab-ci.yml leave no job for a trigger."
    elif error.status_code == 403:
        sentence = f"{error.message} Pipelines that run one another in a circle are refused like this, too."
    if not sentence:
        return error
    return BadAnswer(sentence, status_code=error.status_code, body=error.body, permanent=True)


def _look(client: Client, wanted: _Wanted) -> tuple[Mapping[str, Any] | None, bool]:
    """Return the pipeline that carries the event's id, and whether there is surely none where it is None."""
    since = (wanted.event.timestamp - timedelta(minutes=5)).isoformat()
    params = {"source": "trigger", "ref": wanted.body["ref"], "updated_after": since, "per_page": str(_LOOKED_THROUGH)}
    path, what = f"{project_path(wanted.project)}/pipelines", f"the pipelines of {wanted.project[:200]}"
    listed = client.get(path, what, params)
    found = [one for one in listed if isinstance(one, dict) and _number(one.get("id"))] if isinstance(listed, list) else []
    mark = wanted.body["variables"][EVENT_VARIABLE]
    try:
        for pipeline in found[:_LOOKED_THROUGH]:
            variables = client.get(f"{path}/{pipeline['id']}/variables", what)
            held = {one.get("key"): one.get("value") for one in variables if isinstance(one, dict)} if isinstance(variables, list) else {}
            if held.get(EVENT_VARIABLE) == mark:
                return pipeline, True
    except BadAnswer as error:
        if error.status_code not in (403, 404):  # variables are shown to maintainers only
            raise
        return None, False
    return None, len(found) < _LOOKED_THROUGH


def _label(number: int) -> str:
    return f"pipeline #{number}"


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18 else 0
