"""Webhooks as GitHub and GitLab send them, in the order in which things happened: the load of the benches of receiving."""

from __future__ import annotations

import hmac
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any

SECRET = "flood-4f1c9a-secret"
_START = datetime(2026, 3, 2, 8, tzinfo=UTC)
_PROJECTS, _BRANCHES, _WORKFLOWS = 6, ("main", "upgrade"), ("test", "lint")
_ENDS = ("success", "success", "success", "failure", "cancelled", "timed_out")


@dataclass(frozen=True)
class Delivery:
    """One thing that a platform tells of; sent again it is the same delivery."""

    provider: str
    id: str
    event: str
    body: bytes

    def headers(self) -> dict[str, str]:
        """Return the headers that the platform sends, with what proves it."""
        shared = {"Content-Type": "application/json"}
        if self.provider == "gitlab":
            return shared | {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": self.event, "Idempotency-Key": self.id}
        signature = "sha256=" + hmac.new(SECRET.encode(), self.body, sha256).hexdigest()
        return shared | {"X-Hub-Signature-256": signature, "X-GitHub-Delivery": self.id, "X-GitHub-Event": self.event}


def in_order(count: int, owner: str = "acme") -> list[Delivery]:
    """Return the first `count` deliveries of a story that is always the same; `owner` is who the projects belong to."""
    return list(islice(_stories(owner), count))


def flooded(deliveries: list[Delivery], share: float, choose: random.Random) -> list[Delivery]:
    """Return them in any order, so many of them again that those are `share` of all requests."""
    again = choose.choices(deliveries, k=round(len(deliveries) * share / (1 - share)))
    sent = [*deliveries, *again]
    choose.shuffle(sent)
    return sent


def _stories(owner: str) -> Iterator[Delivery]:
    choose, number = random.Random(7), 0
    while True:
        number += 1
        told = _gitlab(owner, number, choose) if number % 4 == 0 else _github(owner, number, choose)
        for place, (provider, event, data) in enumerate(told):
            yield Delivery(provider, f"{provider}-{number}-{place}", event, json.dumps(data).encode())


def _at(number: int, seconds: float = 0) -> str:
    return (_START + timedelta(minutes=3 * number, seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _github(owner: str, number: int, choose: random.Random) -> Iterator[tuple[str, str, dict[str, Any]]]:
    project, branch, sha = f"{owner}/shop-{number % _PROJECTS}", choose.choice(_BRANCHES), f"{number:040x}"
    about = {"repository": {"id": 7, "full_name": project, "default_branch": "main"}, "sender": {"login": "alice"}}
    commit = {"id": sha, "message": f"Change number {number}", "timestamp": _at(number), "author": {"name": "alice"}}
    yield "github", "push", {**about, "ref": f"refs/heads/{branch}", "after": sha, "commits": [commit], "head_commit": commit}
    if number % 3 == 0:
        for action in ("opened", "synchronize", "closed"):
            pull = {"number": number, "state": "closed" if action == "closed" else "open", "head": {"sha": sha}, "updated_at": _at(number)}
            yield "github", "pull_request", {**about, "action": action, "number": number, "pull_request": pull}
    ends, workflow = [choose.choice(_ENDS)], choose.choice(_WORKFLOWS)
    if ends[0] == "failure":
        ends.append(choose.choice(("success", "failure")))
    for attempt, end in enumerate(ends, 1):
        run = {
            "id": 9_000_000 + number, "name": workflow, "run_number": number,
            "run_attempt": attempt, "event": "pull_request" if number % 3 == 0 else "push", "head_branch": branch, "head_sha": sha,
            "created_at": _at(number), "run_started_at": _at(number, 60 * attempt), "html_url": f"https://github.com/{project}/actions/{number}",
            "actor": {"login": "alice"},
        }  # fmt: skip
        for action, status in (("requested", "queued"), ("in_progress", "in_progress"), ("completed", "completed")):
            seconds = 60 * attempt + {"queued": 0, "in_progress": 2}.get(status, 5 + number % 40)
            state = {"status": status, "conclusion": end if status == "completed" else None, "updated_at": _at(number, seconds)}
            yield "github", "workflow_run", {**about, "action": action, "workflow_run": run | state}
    for kind in ("check_run", "check_suite"):
        yield "github", kind, {**about, "action": "completed", kind: {"id": number, "head_sha": sha, "conclusion": ends[-1]}}


def _gitlab(owner: str, number: int, choose: random.Random) -> Iterator[tuple[str, str, dict[str, Any]]]:
    project, sha = f"{owner}/site-{number % _PROJECTS}", f"{number:040x}"
    page = f"https://gitlab.example.com/{project}"
    about = {"project": {"path_with_namespace": project, "web_url": page, "default_branch": "main"}, "user": {"username": "bob"}}
    failed = choose.random() < 0.3
    steps = ["created", "pending", "running", "failed" if failed else "success"]
    if failed and number % 8 == 0:  # its failed job is run again, in the same pipeline
        steps += ["running", "success"]
    for place, status in enumerate(steps):
        ended = status in ("failed", "success")
        jobs = [{"name": "unit", "started_at": _at(number, 20)}] if place >= 2 else []
        yield "gitlab", "Pipeline Hook", {
            "object_kind": "pipeline", **about, "builds": jobs,
            "object_attributes": {
                "id": 5_000 + number, "iid": number, "status": status, "ref": "main", "sha": sha, "source": "push",
                "created_at": _at(number),
                "finished_at": _at(number, 30 + 10 * place) if ended else None, "duration": 10 * place if ended else None,
            },
        }  # fmt: skip
    for status in ("pending", "running", "failed" if failed else "success"):
        ended = status in ("failed", "success")
        yield "gitlab", "Job Hook", {
            "object_kind": "build", "ref": "main", "tag": False, "sha": sha, "build_id": 80_000 + number, "build_name": "unit",
            "build_status": status, "build_started_at": None if status == "pending" else _at(number, 20),
            "build_finished_at": _at(number, 45) if ended else None, "build_duration": 25.5 if ended else None, "retries_count": number % 2,
            "pipeline_id": 5_000 + number, "user": {"username": "bob"}, "repository": {"name": "site", "homepage": page},
        }  # fmt: skip
