"""How well-known platforms answer, as far as trying a destination out without them needs it: `manage.py catch_webhooks --as slack`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON, TEXT = "application/json", "text/plain"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    status: int = 200
    body: str = ""
    kind: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `number` counts those of this run, `base` is the receiver's own address."""

    method: str
    path: str
    body: bytes
    number: int
    base: str


Platform = Callable[[Asked], Said]


def _json(value: Any, status: int = 200, **headers: str) -> Said:
    return Said(status, json.dumps(value), JSON, headers)


def _slack(asked: Asked) -> Said:
    """Refuse an empty message, by which the connection test asks whether a webhook lives."""
    if not re.fullmatch(r"/services(/\w+){3}", asked.path):
        return Said(404, "no_service")
    return Said(400, "no_text") if asked.body.strip() in (b"", b"{}") else Said(body="ok")


def _teams(asked: Asked) -> Said:
    if not asked.path.startswith("/workflows/"):
        return _json({"error": {"code": "WorkflowNotFound", "message": "The workflow could not be found."}}, 404)
    return Said(202)


def _discord(asked: Asked) -> Said:
    if not re.fullmatch(r"/api/webhooks/\d+/[\w-]+", asked.path):
        return _json({"message": "Unknown Webhook", "code": 10015}, 404)
    return _json({"id": str(asked.number), "type": 0})


def _jenkins(asked: Asked) -> Said:
    """Answer as Jenkins with the plugin Generic Webhook Trigger and one job, whose builds all pass."""
    path = asked.path
    if asked.method == "POST":
        if path.endswith("/generic-webhook-trigger/invoke"):
            job = {"id": asked.number, "triggered": True, "url": f"queue/item/{asked.number}/", "regexpFilterText": ""}
            return _json({"jobs": {"try-it": job}, "message": "Triggered jobs."})
        return Said(201, headers={"Location": f"{asked.base}/queue/item/{asked.number}/"})
    if "/crumbIssuer/" in path:
        return _json({"crumb": "not-a-secret", "crumbRequestField": "Jenkins-Crumb"})
    if "/whoAmI/" in path:
        return _json({"name": "you", "anonymous": False, "authenticated": True})
    if found := re.search(r"/queue/item/(\d+)/", path):
        number = int(found[1])
        return _json({"id": number, "cancelled": False, "executable": {"number": number, "url": f"{asked.base}/job/try-it/{number}/"}})
    if found := re.search(r"/(\d+)/api/json$", path):
        return _json({"number": int(found[1]), "building": False, "result": "SUCCESS", "url": asked.base + path.removesuffix("api/json")})
    return _json({"builds": [], "mode": "NORMAL"})


def _github(asked: Asked) -> Said:
    """Answer as GitHub: dispatches are taken, statuses, check runs and issues made; every run of a workflow has passed."""
    path = asked.path
    made = {"id": asked.number, "number": asked.number, "html_url": f"{asked.base}/made/{asked.number}"}
    if asked.method in ("POST", "PATCH"):
        if re.search(r"/workflows/[^/]+/dispatches$", path):
            run = f"{path.partition('/workflows/')[0]}/runs/{asked.number}"
            return _json({"workflow_run_id": asked.number, "run_url": asked.base + run, "html_url": made["html_url"]})
        return Said(204) if path.endswith("/dispatches") else _json(made, 201 if asked.method == "POST" else 200)
    if path.endswith("/user"):
        return _json({"login": "you"})
    if path.endswith("/rate_limit"):
        return _json({"resources": {"core": {"limit": 5000, "remaining": 4999}}})
    if found := re.search(r"/actions/runs/(\d+)$", path):
        run_id = int(found[1])
        return _json(made | {"id": run_id, "run_number": run_id, "status": "completed", "conclusion": "success"})
    empty: Any = [] if path.endswith(("/issues", "/comments")) else {"total_count": 0, "workflow_runs": [], "check_runs": [], "items": []}
    return _json(empty)


# what a template or an integration asks for, to reach the platform that stands at {base}
ENTER: Mapping[str, str] = {
    "slack": "Webhook URL {base}services/T/B/x",
    "teams": "Webhook URL {base}workflows/x",
    "discord": "Webhook URL {base}api/webhooks/1/x",
    "jenkins": "Address of Jenkins {base}, any user name, tokens and job",
    "github": "Address of the API {base}, any token",
}
PLATFORMS: Mapping[str, Platform] = {"slack": _slack, "teams": _teams, "discord": _discord, "jenkins": _jenkins, "github": _github}
