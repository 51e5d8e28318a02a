"""The Generic Webhook Trigger plugin: one POST to Jenkins, and the jobs with that token choose by their filters.

Jenkins knows no key under which a trigger counts once: where it is not known whether a try reached it, it is told again, so the jobs
may build twice (at least once).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.http.door import BadAnswer, Reply
from integrations.connectors.jenkins.client import Client
from integrations.connectors.jenkins.fields import INVOKE
from integrations.connectors.jenkins.following import Run, start
from integrations.connectors.jenkins.jobs import path_of, queue_item
from integrations.contract.connector import CheckResult
from integrations.contract.outbound import Memory, Outcome, OutgoingEvent
from integrations.messages.flat import flat

_MAX_NAMED = 20
_NO_JOBS = (
    "Jenkins found no job for the plugin's token (404): the token is wrong, or the job was never run (a pipeline's trigger is known from"
    " its first run on), or the plugin is not installed. A job must not have “Trigger builds remotely” as well."
)
_REFUSED = (
    "Jenkins refuses the trigger (403): its global whitelist of the Generic Webhook Trigger asks for another address or for an HMAC that"
    " fits. Compare the integration's HMAC secret and header with Manage Jenkins → System → Generic Webhook Trigger."
)


def body_of(event: OutgoingEvent) -> bytes:
    """Return the envelope that webhooks get, with the message as a flat object beside it."""
    return json.dumps({**json.loads(event.body), "repoguard": flat(event)}, separators=(",", ":")).encode()


def send(client: Client, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory, key: str) -> Outcome:
    """Trigger the jobs, and remember which did. Raises OutboundError."""
    dry_run = options.get("dry_run") is True
    try:
        reply = _invoke(client, body_of(event), dry_run=dry_run)
    except BadAnswer as error:
        if error.status_code == 500:  # some jobs may have begun, whether or not what it wrote says which
            return _partial(client, _jobs(error.body) or {}, again=options.get("retry_partial") is True)
        raise
    jobs = _jobs(reply.body)
    if reply.body.strip() and jobs is None:
        raise BadAnswer(
            "What answers at the integration's address is not the Generic Webhook Trigger. Check the address, with its path, and that the"
            " plugin is installed.",
            status_code=reply.status,
        )
    if dry_run:
        memory.forget(key)
        sentence = f"Dry run: Jenkins began nothing. The token fits {_names(client, jobs or {}) or 'jobs that stay silent'}."
        return Outcome(ok=True, status=reply.status, details={"note": sentence})
    return _judged(client, reply, jobs or {}, memory, key)


def check(client: Client) -> CheckResult:
    """Ask by a dry run which jobs the token fits. Raises OutboundError."""
    reply = _invoke(client, b"{}", dry_run=True)
    jobs = _jobs(reply.body)
    if reply.body.strip() and jobs is None:
        raise BadAnswer(
            "What answers is not the Generic Webhook Trigger. Check the address with its path, and that the plugin is installed."
        )
    names = _names(client, jobs or {})
    return CheckResult(f"The trigger's token fits {names or 'jobs that stay silent'}.", {"jobs": names})


def _invoke(client: Client, body: bytes, *, dry_run: bool) -> Reply:
    headers = {"Content-Type": "application/json", "Accept": "application/json", **({"gwt-dry-run": "true"} if dry_run else {})}
    try:
        return client.door.request("POST", client.base + INVOKE, headers=headers, body=body)
    except BadAnswer as error:
        # the plugin repeats every header of the request, the token too: what it wrote goes no further
        if error.status_code == 403:
            raise BadAnswer(_REFUSED, status_code=403, permanent=True) from None
        if error.status_code == 404:
            raise BadAnswer(_NO_JOBS, status_code=404, permanent=True) from None
        raise


def _judged(client: Client, reply: Reply, jobs: Mapping[str, Any], memory: Memory, key: str) -> Outcome:
    runs = _runs(jobs)
    names = {client.shown(name): job.get("triggered") is True for name, job in list(jobs.items())[:_MAX_NAMED]}
    if not runs and jobs:
        memory.forget(key)  # told again once a filter is mended, it may begin something
        note = f"Jenkins took the event, but began nothing: no filter fits at {_names(client, jobs)}."
        return Outcome(ok=True, confirmed=False, status=reply.status, details={"note": note, "triggered": names})
    if not runs:
        memory.put(key, "silent")
        note = "Jenkins took the event and says nothing more: all jobs with this token answer silently."
        return Outcome(ok=True, confirmed=False, status=reply.status, details={"note": note})
    memory.put(key, "triggered", {"runs": [run.stored() for run in runs[:_MAX_NAMED]]})
    return Outcome(ok=True, status=reply.status, details={"triggered": names}, follow_up=start(client, runs))


def _partial(client: Client, jobs: Mapping[str, Any], *, again: bool) -> Outcome:
    begun = [name for name, job in jobs.items() if job.get("triggered") is True]
    known = f"these began all the same: {client.shown(', '.join(begun))}" if begun else "some may have begun all the same"
    advice = "They are triggered again." if again else "It is not repeated, as they might build twice: look at Jenkins, or redeliver."
    return Outcome(ok=False, error=f"Jenkins failed while it triggered jobs (500); {known}. {advice}", permanent=not again, status=500)


def _jobs(body: bytes) -> dict[str, dict[str, Any]] | None:
    """Return what the plugin says of each job, None where it is not the plugin that answers."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("jobs"), dict | None):
        return None
    if "jobs" not in value and "message" not in value:
        return None
    return {name: job for name, job in (value.get("jobs") or {}).items() if isinstance(job, dict)}


def _runs(jobs: Mapping[str, Mapping[str, Any]]) -> list[Run]:
    triggered = ((name, job) for name, job in jobs.items() if job.get("triggered") is True)
    return [Run(path_of(name.split("/")), queue_item(str(job.get("url", ""))) or _whole(job.get("id"))) for name, job in triggered]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18 else 0


def _names(client: Client, jobs: Mapping[str, Any]) -> str:
    return client.shown(", ".join(list(jobs)[:_MAX_NAMED]))
