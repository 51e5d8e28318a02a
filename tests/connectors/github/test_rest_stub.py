"""The stub takes what GitHub takes, and refuses what GitHub refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.connectors.github.rest_stub import RestStub, rest_stub

pytestmark = pytest.mark.once
REPO = "/repos/acme/shop"
HEADERS = {"User-Agent": "RepoGuard/1", "Authorization": "Bearer x", "X-GitHub-Api-Version": "2022-11-28"}
ANNOTATION = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m"}


def ask(method: str, target: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    raw = b"" if body is None else json.dumps(body).encode()
    return RestStub().answer(method, target, HEADERS | headers, raw)[:2]


def check_run(annotations: int, **more: Any) -> dict[str, Any]:
    output = {"title": "t", "summary": "s", "annotations": [ANNOTATION | more] * annotations}
    return {"name": "RepoGuard", "head_sha": "a" * 40, "output": output}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/dispatches", {"event_type": "x", "client_payload": dict.fromkeys("abcdefghij", 1)}, 204),
        ("POST", "/actions/workflows/ci.yml/dispatches", {"ref": "main", "return_run_details": True}, 200),
        ("POST", "/statuses/abc", {"state": "success", "description": "x" * 140}, 201),
        ("POST", "/check-runs", check_run(50), 201),
        ("PATCH", "/check-runs/4", {"status": "completed", "conclusion": "success"}, 200),
        ("GET", "/commits/feature/x/check-runs?check_name=RepoGuard", None, 200),
        ("POST", "/issues", {"title": "t", "labels": ["security"]}, 201),
        ("PATCH", "/issues/7", {"state": "closed", "state_reason": "completed"}, 200),
        ("GET", "/issues/7", None, 200),
        ("POST", "/issues/7/comments", {"body": "b"}, 201),
        ("POST", "/dispatches", {"event_type": "x", "client_payload": dict.fromkeys("abcdefghijk", 1)}, 422),
        ("POST", "/dispatches", {"event_type": "x" * 101}, 422),
        ("POST", "/actions/workflows/ci.yml/dispatches", {"ref": "main", "inputs": {str(n): "" for n in range(26)}}, 422),
        ("POST", "/statuses/abc", {"state": "passed"}, 422),
        ("POST", "/statuses/abc", {"state": "success", "description": "x" * 141}, 422),
        ("POST", "/check-runs", check_run(51), 422),
        ("POST", "/check-runs", check_run(1, title="x" * 256), 422),
        ("PATCH", "/issues/7", {"state": "done"}, 422),
        ("POST", "/issues", {"title": "t", "body": "x" * 65_537}, 422),
        ("GET", "/issues?state=neither", None, 422),
        ("GET", "/issues?since_when=2020", None, 422),
        ("POST", "/elsewhere", {}, 404),
    ],
)  # fmt: skip
def test_requests_are_held_against_the_description(method: str, path: str, body: Any, status: int) -> None:
    answered, value = ask(method, REPO + path, body)
    assert answered == status, value
    if status >= 400:
        assert value["message"]


def test_a_repository_an_issue_and_a_search_are_answered_with_their_examples() -> None:
    assert ask("GET", REPO)[1]["default_branch"]
    assert ask("GET", f"{REPO}/issues/7")[1]["number"]
    assert ask("GET", "/search/issues?q=repo:acme/shop+x")[1]["items"]


def test_it_serves_and_notes_what_was_asked() -> None:
    with rest_stub() as github:
        operation = "POST /repos/{owner}/{repo}/issues"
        github.told[operation] = lambda call: (201, {"number": 7, "title": call.body["title"]}, {"X-Seen": "yes"})
        made = requests.post(f"{github.url}{REPO}/issues", json={"title": "t"}, headers=HEADERS, timeout=5)
        assert (made.status_code, made.json(), made.headers["X-Seen"]) == (201, {"number": 7, "title": "t"}, "yes")
        assert requests.post(f"{github.url}{REPO}/issues", json={}, headers=HEADERS, timeout=5).status_code == 422
        assert github.made(operation) == [{"title": "t"}]
        assert len(github.refused) == 1
