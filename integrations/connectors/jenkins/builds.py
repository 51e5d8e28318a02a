"""Builds of one job: begun with parameters, and found again by the parameter that carries the event's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.http.door import BadAnswer, Reply
from integrations.connectors.jenkins.client import NO_CRUMB, Client, explained, said
from integrations.connectors.jenkins.fields import EVENT_PARAMETER
from integrations.connectors.jenkins.following import Run, listed, start
from integrations.connectors.jenkins.jobs import build_at, is_chosen_by_events, job_name, job_path, queue_item
from integrations.contract.outbound import Memory, Outcome, OutgoingEvent, Reserved
from integrations.messages.flat import fill, flat

_LOOKED_THROUGH = 50
_PARAMETERS = "actions[parameters[name,value]]"
_UNSURE = (
    f"An earlier try may have begun a build: the job does not declare the parameter {EVENT_PARAMETER}, by which it would be found, so it"
    " was begun again."
)


def send(client: Client, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory, key: str, reserved: Reserved) -> Outcome:
    """Begin a build, unless an earlier try did, and remember it. Raises OutboundError, and InvalidInput for an event without a part."""
    values = flat(event)
    job = job_path(options["job"], values)
    _check_choice(event, options["job"], str(values["repository"]))
    parameters = {name: fill(text, values) for name, text in options.get("parameters", {}).items()}
    if parameters:
        parameters.setdefault(EVENT_PARAMETER, str(event.id))
    note = ""
    if reserved is Reserved.AGAIN:
        run, is_sure = _look(client, job, str(event.id))
        if run is not None:
            return _remember(client, memory, key, run, None, "An earlier try had begun it.")
        note = "" if is_sure else _UNSURE
    reply = _begin(client, job, parameters)
    item = queue_item(reply.headers.get("Location", ""))
    if item is None:
        memory.forget(key)
        return _not_queued(client, reply, job)
    return _remember(client, memory, key, Run(job, item), reply.status, note)


def _check_choice(event: OutgoingEvent, template: str, repository: str) -> None:
    """Let an event choose the job only where it belongs to the repository that it names: anybody may publish one that does not."""
    if is_chosen_by_events(template) and event.about.partition(":")[2].lower() != repository.lower():
        raise InvalidInput.of(
            "job",
            f"The event names {repository[:100] or 'no repository'}, which is not registered here for its owner: register it, or name the"
            " job without placeholders.",
        )


def _remember(client: Client, memory: Memory, key: str, run: Run, status: int | None, note: str) -> Outcome:
    memory.put(key, f"build {run.number}" if run.number else f"queue item {run.item}", {"runs": [run.stored()]})
    details = {"job": client.shown(job_name(run.job)), "queue_item": run.item or None, "build": run.number or None, "note": note}
    shown = {name: value for name, value in details.items() if value}
    return Outcome(ok=True, status=status, details=shown, follow_up=start(client, [run]))


def _begin(client: Client, job: str, parameters: Mapping[str, str]) -> Reply:
    path = f"{job}/buildWithParameters" if parameters else f"{job}/build"
    try:
        return client.post(path, parameters, expected=range(200, 400))
    except BadAnswer as error:
        raise _explained(error, job_name(job)) from None


def _explained(error: BadAnswer, job: str) -> BadAnswer:
    text, what = said(error), f"the job {job[:200]}"
    sentence = ""
    if error.status_code == 403 and NO_CRUMB in text.lower():
        sentence = "Jenkins wants a crumb and refuses the one it gave (403). Use an API token instead of a password, and see that a proxy"
        sentence += " between keeps cookies and headers."
    elif error.status_code == 400:
        sentence = f"Jenkins does not begin {what} without parameters (400): name one in the webhook's parameters."
    elif error.status_code == 405:
        sentence = f"Jenkins wants a POST for {what}, and got something else (405): see whether a proxy between changes requests."
    elif error.status_code == 409:
        sentence = f"Jenkins says that {what} is disabled (409). Enable it, then redeliver."
    elif error.status_code == 500 and "not parameterized" in text:
        sentence = (
            f"{what[0].upper()}{what[1:]} takes no parameters (500): tick “This project is parameterized” there, or leave parameters empty."
        )
    if sentence:
        return BadAnswer(sentence, status_code=error.status_code, body=error.body, permanent=True)
    return explained(error, what)


def _not_queued(client: Client, reply: Reply, job: str) -> Outcome:
    """Say why there is no place in the queue: Jenkins sends back to the job where its queue refused, elsewhere where it is not Jenkins."""
    to = reply.headers.get("Location", "")
    if reply.status < 300 or not to or to == "." or to.rstrip("/").endswith(job):
        sentence = f"Jenkins did not put the job {job_name(job)[:200]} into its queue: it may be shutting down, or a plugin vetoes it."
        return Outcome(ok=False, error=sentence, status=reply.status)
    sentence = f"Jenkins answered {reply.status} and points to {client.shown(to.partition('?')[0])}: check the integration's address, with"
    return Outcome(ok=False, error=f"{sentence} https and path as Jenkins has them, and its sign-in.", permanent=True, status=reply.status)


# --- what an earlier try may have begun -------------------------------------------------------------------------------


def _look(client: Client, job: str, event_id: str) -> tuple[Run | None, bool]:
    """Return the run that carries the event's id, and whether there is surely none where it is None. The queue first: items leave it."""
    queue = client.get("/queue", f"items[id,task[url],{_PARAMETERS}]", "its queue")
    for item in listed(queue, "items"):
        if _carries(item, event_id) and isinstance(item.get("id"), int) and _is_of(item, job):
            return Run(job, item["id"]), True
    tree = f"property[parameterDefinitions[name]],builds[number,url,{_PARAMETERS}]{{0,{_LOOKED_THROUGH}}}"
    found = client.get(job, tree, f"the job {job_name(job)}")
    for build in listed(found, "builds"):
        if _carries(build, event_id) and isinstance(build.get("number"), int):
            return Run(job, number=build["number"]), True
    declared = [one.get("name") for held in listed(found, "property") for one in listed(held, "parameterDefinitions")]
    return None, EVENT_PARAMETER in declared


def _is_of(item: Mapping[str, Any], job: str) -> bool:
    task = item.get("task")
    found = build_at(f"{str(task.get('url', '')).rstrip('/')}/1") if isinstance(task, Mapping) else None
    return found is not None and found[0] == job


def _carries(thing: Mapping[str, Any], event_id: str) -> bool:
    held = [one for action in listed(thing, "actions") for one in listed(action, "parameters")]
    return any(one.get("name") == EVENT_PARAMETER and one.get("value") == event_id for one in held)
