"""What Bitbucket Cloud's events mean here."""

from __future__ import annotations

from typing import Any

from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent
from integrations.contract.payloads import at, moment, objects, text, whole
from integrations.contract.reports import ReportedRun

STATUSES = {"SUCCESSFUL": "success", "FAILED": "failure", "INPROGRESS": "running", "STOPPED": "cancelled"}
_PULL_REQUEST = {
    "pullrequest:created": "opened",
    "pullrequest:updated": "updated",
    "pullrequest:fulfilled": "merged",
    "pullrequest:rejected": "closed",
}
BUILDS = ("repo:commit_status_created", "repo:commit_status_updated")


def events(key: str, payload: dict[str, Any]) -> list[InboundEvent]:
    """Return what an event of this key says."""
    repository = _repository(payload)
    if key == "repo:push":
        return [_push(repository, change, payload) for change in objects(at(payload, "push", "changes"))]
    if key in _PULL_REQUEST:
        return [_pull_request(repository, _PULL_REQUEST[key], payload)]
    if key in BUILDS:
        return [_build(repository["full_name"], key, payload)]
    return [payloads.other("bitbucket", key, payload, repository=repository["full_name"])]


def _repository(payload: dict[str, Any]) -> dict[str, Any]:
    about = payload.get("repository")
    return {
        "full_name": text(at(about, "full_name")),
        "html_url": text(at(about, "links", "html", "href"), 2000),
        "default_branch": text(at(about, "mainbranch", "name")),
    }


def _push(repository: dict[str, Any], change: dict[str, Any], payload: dict[str, Any]) -> InboundEvent:
    target = change.get("new") if isinstance(change.get("new"), dict) else change.get("old")
    kind = "tags" if at(target, "type") == "tag" else "heads"
    commits = [
        {
            "id": text(commit.get("hash")),
            "message": commit.get("message") if isinstance(commit.get("message"), str) else "",
            "timestamp": text(commit.get("date")),
            "url": text(at(commit, "links", "html", "href"), 2000),
            "author": {"name": text(at(commit, "author", "user", "display_name") or at(commit, "author", "raw"))},
        }
        for commit in objects(change.get("commits"))
    ]
    return payloads.pushed(
        "bitbucket",
        repository,
        ref=f"refs/{kind}/{text(at(target, 'name'))}",
        before=text(at(change, "old", "target", "hash")),
        after=text(at(change, "new", "target", "hash")),
        pusher={"name": text(at(payload, "actor", "nickname") or at(payload, "actor", "display_name"))},
        commits=commits,
        occurred_at=moment(at(change, "new", "date")),
        forced=change.get("forced") is True,
    )


def _pull_request(repository: dict[str, Any], action: str, payload: dict[str, Any]) -> InboundEvent:
    about = payload.get("pullrequest")
    fields = {
        "title": text(at(about, "title"), 1000),
        "state": text(at(about, "state")).lower(),
        "draft": at(about, "draft") is True,
        "head": {"ref": text(at(about, "source", "branch", "name")), "sha": text(at(about, "source", "commit", "hash"))},
        "base": {"ref": text(at(about, "destination", "branch", "name")), "sha": text(at(about, "destination", "commit", "hash"))},
        "html_url": text(at(about, "links", "html", "href"), 2000),
        "user": {"login": text(at(about, "author", "nickname") or at(about, "author", "display_name"))},
    }
    number = whole(at(about, "id"), 1)
    return payloads.pull_request("bitbucket", repository, action, number, fields, occurred_at=moment(at(about, "updated_on")))


def _build(repository: str, key: str, payload: dict[str, Any]) -> InboundEvent:
    about = payload.get("commit_status")
    word, name = text(at(about, "state")), text(at(about, "key"))
    commit = text(at(about, "commit", "hash"), 64)
    status = STATUSES.get(word, "running")
    began, changed = moment(at(about, "created_on")), moment(at(about, "updated_on"))
    runs: tuple[ReportedRun, ...] = ()
    if name and commit:
        run = payloads.run(
            f"{commit}:{name}",  # a key is a build's name at one commit
            status,
            raw={"status": word, "key": name, "description": text(at(about, "description"), 500)},
            workflow=text(at(about, "name")) or name,
            branch=text(at(about, "refname")),
            commit=commit,
            started_at=began,
            finished_at=None if status == "running" else changed,
            url=text(at(about, "url"), 2000),
        )
        runs = (run,)
    return payloads.other("bitbucket", key, payload, repository=repository, occurred_at=changed or began, runs=runs)
