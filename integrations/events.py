"""Event types about repositories and integrations."""

from __future__ import annotations

from typing import Any

from core.event_types import EventType, Family

_TEXT: dict[str, Any] = {"type": "string"}
_REPOSITORY: dict[str, Any] = {"type": "object", "properties": {"full_name": _TEXT}}
_INTEGRATION: dict[str, Any] = {
    "type": "object",
    "properties": {"integration_id": {"type": "string", "format": "uuid"}, "integration": _TEXT, "provider": _TEXT, "reason": _TEXT},
    "required": ["integration_id", "integration"],
}
_EXAMPLE_INTEGRATION = {"integration_id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6", "integration": "Snyk production", "provider": "snyk"}

_REPOSITORY_TYPES = [
    EventType(
        name="repository.pushed",
        title="Commits pushed",
        description="Commits were pushed to a branch or tag. Data as GitHub's push payload names them, whichever the provider.",
        schema={
            "type": "object",
            "properties": {"ref": _TEXT, "before": _TEXT, "after": _TEXT, "repository": _REPOSITORY, "commits": {"type": "array"}},
        },
        example={
            "ref": "refs/heads/main",
            "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
            "after": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
            "repository": {"full_name": "acme/shop", "default_branch": "main", "html_url": "https://github.com/acme/shop"},
            "pusher": {"name": "alice", "email": "alice@example.com"},
            "created": False,
            "deleted": False,
            "forced": False,
            "head_commit": {
                "id": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
                "message": "Pin the base image",
                "timestamp": "2026-11-20T09:30:00Z",
                "author": {"name": "Alice", "email": "alice@example.com"},
                "added": [],
                "removed": [],
                "modified": ["Dockerfile"],
            },
            "commits": [
                {
                    "id": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
                    "message": "Pin the base image",
                    "timestamp": "2026-11-20T09:30:00Z",
                    "author": {"name": "Alice", "email": "alice@example.com"},
                    "added": [],
                    "removed": [],
                    "modified": ["Dockerfile"],
                }
            ],
        },
        postable=True,
    ),
    EventType(
        name="repository.*",
        title="Other repository event",
        description="Anything else that happened to a repository, such as repository.created or repository.tagged.",
        schema={"type": "object", "properties": {"repository": _REPOSITORY}},
        example={"repository": {"full_name": "acme/shop"}, "tag": "v2.4.1"},
        postable=True,
    ),
    EventType(
        name="pull_request.updated",
        title="Pull request updated",
        description="A pull request was opened, changed, merged or closed. Data as GitHub's payload names them, whichever the provider.",
        schema={
            "type": "object",
            "properties": {
                "action": _TEXT,
                "number": {"type": "integer", "minimum": 1},
                "pull_request": {"type": "object"},
                "repository": _REPOSITORY,
            },
        },
        example={
            "action": "synchronize",
            "number": 42,
            "pull_request": {
                "title": "Upgrade requests",
                "state": "open",
                "draft": False,
                "head": {"ref": "upgrade-requests", "sha": "9049f1265b7d61be4a8904a9a27120d2064dab3b"},
                "base": {"ref": "main", "sha": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"},
                "html_url": "https://github.com/acme/shop/pull/42",
            },
            "repository": {"full_name": "acme/shop"},
        },
        postable=True,
    ),
    EventType(
        name="pull_request.*",
        title="Other pull request event",
        description="Anything else that happened to a pull request, such as pull_request.reviewed.",
        schema={"type": "object", "properties": {"repository": _REPOSITORY}},
        example={"action": "submitted", "number": 42, "repository": {"full_name": "acme/shop"}},
        postable=True,
    ),
]


_integration = Family("integration", _INTEGRATION, _EXAMPLE_INTEGRATION, strict=True)


_INTEGRATION_TYPES = [
    _integration(
        "unhealthy",
        "Integration unhealthy",
        "An integration's checks fail, or its circuit breaker opened.",
        reason="401 Unauthorized: the token was refused. Enter a new one in the integration.",
        failing_since="2026-11-20T09:30:00Z",
    ),
    _integration("recovered", "Integration recovered", "An unhealthy integration works again.", failed_seconds=840),
    _integration(
        "quota_warning", "Quota nearly used up", "An integration has used most of its quota.", used=4500, limit=5000, window="hour"
    ),
    _integration(
        "credentials_expiring", "Credentials expiring", "An integration's credentials end soon.", expires_at="2026-12-01T00:00:00Z"
    ),
    _integration(
        "archive_failed",
        "Old logs can't be archived",
        "The storage that keeps old delivery logs does not take them, so none are deleted. Said once a day.",
        reason="Old logs wait: the bucket's server answered 403 (AccessDenied). Give the key the right to write.",
    ),
]

EVENT_TYPES = [*_REPOSITORY_TYPES, *_INTEGRATION_TYPES]
