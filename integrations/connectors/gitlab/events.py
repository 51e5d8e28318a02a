"""What GitLab's events mean here."""

from __future__ import annotations

from typing import Any

from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent
from integrations.contract.payloads import at, moment, objects, repository_in, text, whole
from integrations.contract.reports import ReportedRun

STATUSES = {
    "created": "queued",
    "waiting_for_resource": "queued",
    "waiting_for_callback": "queued",
    "preparing": "queued",
    "pending": "queued",
    "scheduled": "queued",
    "manual": "queued",
    "running": "running",
    "canceling": "running",
    "success": "success",
    "failed": "failure",
    "canceled": "cancelled",
    "skipped": "skipped",
}
"""An unknown word is a run that goes on, until GitLab says more; it is kept in `raw`."""
_TIMED_OUT = ("job_execution_timeout", "stuck_or_timeout_failure")


def events(kind: str, payload: dict[str, Any]) -> InboundEvent:
    """Return the one event that a payload of a kind is."""
    found = {"push": _push, "tag_push": _push, "merge_request": _merge_request, "pipeline": _pipeline, "build": _job}.get(kind)
    if found is None:
        return payloads.other("gitlab", kind, payload, repository=_repository(payload)["full_name"], occurred_at=_happened(payload))
    return found(payload)


def _repository(payload: dict[str, Any]) -> dict[str, Any]:
    project, old = payload.get("project"), payload.get("repository")
    name = text(at(project, "path_with_namespace")) or repository_in(at(old, "homepage")) or repository_in(at(old, "git_http_url"))
    return {
        "full_name": name,
        "default_branch": text(at(project, "default_branch")),
        "html_url": text(at(project, "web_url") or at(old, "homepage"), 2000),
    }


def _happened(payload: dict[str, Any]) -> Any:
    return moment(at(payload, "object_attributes", "updated_at")) or moment(at(payload, "object_attributes", "created_at"))


def _push(payload: dict[str, Any]) -> InboundEvent:
    commits: list[dict[str, Any]] = [
        {
            "id": text(commit.get("id")),
            "message": commit.get("message") if isinstance(commit.get("message"), str) else "",
            "timestamp": text(commit.get("timestamp")),
            "url": text(commit.get("url"), 2000),
            "author": {"name": text(at(commit, "author", "name")), "email": text(at(commit, "author", "email"))},
            **{name: commit.get(name) if isinstance(commit.get(name), list) else [] for name in ("added", "removed", "modified")},
        }
        for commit in objects(payload.get("commits"))
    ]
    return payloads.pushed(
        "gitlab",
        _repository(payload),
        ref=text(payload.get("ref")),
        before=text(payload.get("before")),
        after=text(payload.get("after")),
        pusher={"name": text(payload.get("user_username") or payload.get("user_name")), "email": text(payload.get("user_email"))},
        commits=commits,
    )


def _merge_request(payload: dict[str, Any]) -> InboundEvent:
    about = payload.get("object_attributes")
    fields = {
        "title": text(at(about, "title"), 1000),
        "state": {"opened": "open"}.get(text(at(about, "state")), text(at(about, "state"))),
        "draft": bool(at(about, "draft") or at(about, "work_in_progress")),
        "head": {"ref": text(at(about, "source_branch")), "sha": text(at(about, "last_commit", "id"))},
        "base": {"ref": text(at(about, "target_branch"))},
        "html_url": text(at(about, "url"), 2000),
        "user": {"login": text(at(payload, "user", "username"))},
    }
    action = text(at(about, "action")) or "update"
    number = whole(at(about, "iid"), 1)
    return payloads.pull_request("gitlab", _repository(payload), action, number, fields, occurred_at=_happened(payload))


def _pipeline(payload: dict[str, Any]) -> InboundEvent:
    about = payload.get("object_attributes")
    variables = objects(at(about, "variables"))
    if isinstance(about, dict) and variables:  # their values may be secrets
        about["variables"] = [{"key": text(variable.get("key"))} for variable in variables]
    repository = _repository(payload)["full_name"]
    runs: tuple[ReportedRun, ...] = ()
    if pipeline := text(at(about, "id")):
        runs = (_pipeline_run(pipeline, payload),)
    return payloads.other("gitlab", "pipeline", payload, repository=repository, occurred_at=_happened(payload), runs=runs)


def _pipeline_run(pipeline: str, payload: dict[str, Any]) -> ReportedRun:
    about = payload["object_attributes"]
    jobs = objects(payload.get("builds"))
    word = text(about.get("status"))
    status = STATUSES.get(word, "running")
    if status == "failure" and any(job.get("failure_reason") in _TIMED_OUT and not job.get("allow_failure") for job in jobs):
        status = "timed_out"
    page = text(at(payload, "project", "web_url"), 1900)
    # what waits for the pipeline's jobs counts from the first that began
    begun = [found for job in jobs if (found := moment(job.get("started_at")))]
    return payloads.run(
        pipeline,
        status,
        raw={"status": word, "detailed_status": text(about.get("detailed_status")), "stages": about.get("stages"), "jobs": len(jobs)},
        workflow=text(about.get("name")) or "pipeline",
        branch="" if about.get("tag") is True else text(about.get("ref")),
        commit=text(about.get("sha"), 64),
        event=text(about.get("source"), 60),
        number=text(about.get("iid"), 40),
        started_at=min(begun, default=None) or moment(about.get("created_at")),
        finished_at=moment(about.get("finished_at")),
        duration_seconds=about.get("duration"),
        url=text(about.get("url"), 2000) or (f"{page}/-/pipelines/{pipeline}" if page else ""),
        actor=text(at(payload, "user", "username")),
    )


def _job(payload: dict[str, Any]) -> InboundEvent:
    repository = _repository(payload)
    runs: tuple[ReportedRun, ...] = ()
    if job := text(payload.get("build_id")):
        runs = (_job_run(job, repository["html_url"], payload),)
    return payloads.other("gitlab", "job", payload, repository=repository["full_name"], runs=runs)


def _job_run(job: str, page: str, payload: dict[str, Any]) -> ReportedRun:
    word, reason = text(payload.get("build_status")), text(payload.get("build_failure_reason"))
    status = STATUSES.get(word, "running")
    return payloads.run(
        f"job-{job}",  # pipelines and jobs are numbered apart
        "timed_out" if status == "failure" and reason in _TIMED_OUT else status,
        raw={
            "status": word,
            "failure_reason": reason,
            "stage": text(payload.get("build_stage")),
            "pipeline_id": payload.get("pipeline_id"),
        },
        attempt=(whole(payload.get("retries_count")) or 0) + 1,
        workflow=text(payload.get("build_name")),
        branch="" if payload.get("tag") is True else text(payload.get("ref")),
        commit=text(payload.get("sha"), 64),
        started_at=moment(payload.get("build_started_at")),
        finished_at=moment(payload.get("build_finished_at")),
        duration_seconds=payload.get("build_duration"),
        url=f"{page}/-/jobs/{job}" if page else "",
        actor=text(at(payload, "user", "username")),
    )
