"""workflow_dispatch: starts one workflow with inputs, and follows its run to the end.

https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event
GitHub.com names the run that it started (`return_run_details`). An Enterprise Server that does not is asked for the runs that were
started so on that ref since; followed.py chooses among them. So it is where a call's answer was lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from core.errors import OutboundError
from core.http.door import BadAnswer, Reply, surely_undone
from integrations.connectors.github.client import message, refused_fields
from integrations.connectors.github.headers import HEADERS
from integrations.connectors.github.reading import number, text
from integrations.connectors.github.telling import followed
from integrations.connectors.github.telling.told import TEST_TYPE, Telling, Told, telling_already
from integrations.contract.fields import Field, FieldKind
from integrations.contract.outbound import DestinationRequest, FollowUpStart, Outcome, Reserved
from integrations.messages.cutting import cut
from integrations.messages.flat import fill, flat, placeholder_errors

MOST_INPUTS, MOST_INPUT = 25, 1_000
_IF = ("action", ("workflow_dispatch",))

FIELDS = (
    Field("workflow", "Workflow", required=True, max_length=200, placeholder="security.yml", pattern=r"[A-Za-z0-9_-][A-Za-z0-9._ -]*",
          only_if=_IF, help="Name of its file in .github/workflows, or its id. It must have on: workflow_dispatch."),
    Field("ref", "Branch or tag", max_length=250, placeholder="main", pattern=r"[^\s~^:?*\[\\]+", only_if=_IF,
          help="Where the workflow runs. Left out, it is the event's branch, or the default branch where the event has none there."),
    Field("inputs", "Inputs", FieldKind.MAPPING, max_length=MOST_INPUT, only_if=_IF, example={"commit": "{commit}"},
          help="Those that the workflow declares. {repository}, {commit}, {branch}, {event_id}, {result}, {new_high} and the like"
          " stand for what the event says. In a workflow's scripts read them from env, never as ${{ inputs.… }}: people choose the names of"
          " branches."),
)  # fmt: skip


def problems(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the inputs."""
    inputs = options.get("inputs", {})
    if len(inputs) > MOST_INPUTS:
        return {"inputs": [f"are {len(inputs)}; GitHub takes at most {MOST_INPUTS}."]}
    unknown = placeholder_errors(str(value) for value in inputs.values())
    return {"inputs": unknown} if unknown else {}


def tell(telling: Telling) -> Outcome:
    """Start the workflow, once, and have its run followed."""
    key = f"workflow:{telling.event.id}"
    standing = telling.memory.reserve(key, telling.event.holder)
    if standing is Reserved.BUSY:
        return telling_already("this event")
    if standing is Reserved.MADE:
        made = telling.memory.recall(key)
        return _outcome(telling, made.data if made else {}, None)
    since = _since(telling, f"{key}:since", standing)
    try:
        ref = ref_of(telling)
        run = _started_before(telling, ref, since) if standing is Reserved.AGAIN else None
        status = None
        if run is None:
            reply = _start(telling, ref)
            status, run = reply.status, _run_of(reply)
    except OutboundError as error:
        if surely_undone(error) and standing is Reserved.FIRST:
            telling.memory.forget(key)
        raise
    if "run_id" in run:
        telling.memory.put(f"workflow-run:{run['run_id']}", str(telling.event.id))
    data = {"ref": ref, "since": since, **run}
    telling.memory.put(key, str(run.get("run_id") or "started"), data)
    return _outcome(telling, data, status)


def inputs_of(telling: Told) -> dict[str, str]:
    """Return the inputs with the event's values in them; what is replaced is not read again."""
    values = flat(telling.event)
    given: Mapping[str, Any] = telling.options.get("inputs", {})
    return {name: cut(fill(str(value), values), MOST_INPUT) for name, value in given.items()}


def rehearsed(telling: Told) -> list[DestinationRequest] | None:
    """Return what would be sent where GitHub would first be asked for the default branch; None where it would not."""
    if known_ref(telling) or telling.event.type == TEST_TYPE:
        return None
    body = json.dumps(_body(telling, "(the default branch)")).encode()
    return [DestinationRequest(telling.client.url(_path(telling)), {**HEADERS, "Content-Type": "application/json"}, body)]


def known_ref(telling: Told) -> str:
    """Return where the workflow runs, "" for the default branch. Of pull requests' merges and the like nothing can be dispatched."""
    branch = telling.message.branch
    return str(telling.options.get("ref") or (branch if telling.is_own and not branch.startswith("refs/") else ""))


def ref_of(telling: Telling) -> str:
    """Return where the workflow runs. Raises OutboundError where GitHub does not tell the default branch."""
    if ref := known_ref(telling):
        return ref
    value = telling.client.get(telling.path, what=f"the repository {telling.repository}").json()
    if isinstance(value, dict) and (found := text(value, "default_branch")):
        return found
    raise BadAnswer("GitHub answered without the repository's default branch. Name a branch in the webhook's option ref.")


def _path(telling: Told) -> str:
    return f"{telling.path}/actions/workflows/{quote(str(telling.options['workflow']), safe='')}/dispatches"


def _body(telling: Told, ref: str) -> dict[str, Any]:
    inputs = inputs_of(telling)
    return {"ref": ref, "return_run_details": True, **({"inputs": inputs} if inputs else {})}


def _start(telling: Telling, ref: str) -> Reply:
    body = _body(telling, ref)
    what = f"the workflow {telling.options['workflow']} on {ref} in {telling.repository}"
    try:
        return telling.client.post(_path(telling), body, what=what)
    except BadAnswer as error:
        if error.status_code != 422 or "return_run_details" not in " ".join([message(error), *refused_fields(error)]):
            raise
    del body["return_run_details"]  # an Enterprise Server that does not know it yet
    return telling.client.post(_path(telling), body, what=what)


def _run_of(reply: Reply) -> dict[str, Any]:
    """Return what GitHub says of the run that it started; nothing for a 204."""
    if reply.status == 204:
        return {}
    value = reply.json()
    value = value if isinstance(value, dict) else {}
    run_id = number(value, "workflow_run_id")
    return {"run_id": run_id, "link": text(value, "html_url")} if run_id else {}


def _since(telling: Telling, key: str, standing: Reserved) -> str:
    """Return when this event first tried to start the workflow, as far as that may have worked."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if standing is Reserved.FIRST:
        telling.memory.replace(key, now)
        return now
    return telling.memory.get(key) or telling.order


def _started_before(telling: Telling, ref: str, since: str) -> dict[str, Any] | None:
    """Return the run that an earlier try started before its answer was lost, None where there is none."""
    page = telling.client.get(_runs_path(telling, ref, since), what=f"the runs of {telling.options['workflow']} in {telling.repository}")
    found = followed.choose(page, str(telling.event.id), since, lambda run_id: telling.memory.get(f"workflow-run:{run_id}") is not None)
    return {"run_id": found.id, "link": found.link} if found else None


def _runs_path(telling: Telling, ref: str, since: str) -> str:
    query = urlencode({"event": "workflow_dispatch", "branch": ref, "created": f">={followed.with_skew(since)}", "per_page": "100"})
    return f"{telling.path}/actions/workflows/{quote(str(telling.options['workflow']), safe='')}/runs?{query}"


def _outcome(telling: Telling, data: Mapping[str, Any], status: int | None) -> Outcome:
    """Return what was started; where the run is not known yet, the follow-up looks for it."""
    ref, since = str(data.get("ref", "")), str(data.get("since", ""))
    run_id = number(data, "run_id")
    details = {"repository": telling.repository, "workflow": telling.options["workflow"], "ref": ref} | ({"run": run_id} if run_id else {})
    path = f"{telling.path}/actions/runs/{run_id}" if run_id else _runs_path(telling, ref, since)
    memory = {} if run_id else {"event_id": str(telling.event.id), "since": since}
    start = FollowUpStart(telling.client.url(path), label=f"run {run_id}" if run_id else "", link=text(data, "link"), memory=memory)
    return Outcome(ok=True, confirmed=False, status=status, details=details, follow_up=start)
