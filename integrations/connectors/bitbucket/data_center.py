"""What the events of Bitbucket Data Center mean here.

https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
"""

from __future__ import annotations

from typing import Any

from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent
from integrations.contract.payloads import at, moment, objects, text, whole

_PULL_REQUEST = {
    "pr:opened": "opened",
    "pr:from_ref_updated": "synchronize",
    "pr:modified": "updated",
    "pr:merged": "merged",
    "pr:declined": "closed",
    "pr:deleted": "deleted",
}
_NOTHING = "0" * 40


def events(key: str, payload: dict[str, Any]) -> list[InboundEvent]:
    """Return what an event of this key says."""
    happened = moment(payload.get("date"))
    if key == "repo:refs_changed":
        repository = _repository(payload.get("repository"))
        return [_push(repository, change, payload, happened) for change in objects(payload.get("changes"))]
    about = payload.get("pullRequest")
    repository = _repository(at(about, "toRef", "repository"))
    if key in _PULL_REQUEST:
        number = whole(at(about, "id"), 1)
        return [payloads.pull_request("bitbucket", repository, _PULL_REQUEST[key], number, _fields(about), occurred_at=happened)]
    return [payloads.other("bitbucket", key, payload, repository=repository["full_name"], occurred_at=happened)]


def _repository(about: Any) -> dict[str, Any]:
    project, slug = text(at(about, "project", "key")), text(at(about, "slug"))
    return {"full_name": f"{project}/{slug}"[:255] if project and slug else ""}


def _push(repository: dict[str, Any], change: dict[str, Any], payload: dict[str, Any], happened: Any) -> InboundEvent:
    before, after = text(change.get("fromHash")), text(change.get("toHash"))
    return payloads.pushed(
        "bitbucket",
        repository,
        ref=text(change.get("refId") or at(change, "ref", "id")),
        before=before,
        after=after if change.get("type") != "DELETE" else _NOTHING,
        pusher={"name": text(at(payload, "actor", "name")), "email": text(at(payload, "actor", "emailAddress"))},
        commits=[
            {
                "id": text(commit.get("id")),
                "message": commit.get("message") if isinstance(commit.get("message"), str) else "",
                "author": {"name": text(at(commit, "author", "name")), "email": text(at(commit, "author", "emailAddress"))},
            }
            for commit in objects(payload.get("commits"))
        ],
        occurred_at=happened,
    )


def _fields(about: Any) -> dict[str, Any]:
    links = objects(at(about, "links", "self"))
    return {
        "title": text(at(about, "title"), 1000),
        "state": text(at(about, "state")).lower(),
        "draft": at(about, "draft") is True,
        "head": {"ref": text(at(about, "fromRef", "displayId")), "sha": text(at(about, "fromRef", "latestCommit"))},
        "base": {"ref": text(at(about, "toRef", "displayId")), "sha": text(at(about, "toRef", "latestCommit"))},
        "html_url": text(links[0].get("href"), 2000) if links else "",
        "user": {"login": text(at(about, "author", "user", "name"))},
    }
