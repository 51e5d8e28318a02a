"""A GitLab as documented: statuses with their transitions, pipelines by trigger token, variables that maintainers see."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.serving import QuietHandler, serving

ACCESS, TRIGGER = "planted-access-9c41", "planted-trigger-2f07"
PROJECT = "/api/v4/projects/acme%2Fshop"
_MOVES = {"pending": "enqueue", "running": "run", "success": "success", "failed": "drop", "canceled": "cancel"}


@dataclass
class GitLab:
    """The server's state, and what it was asked."""

    statuses: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    allows_variables: bool = True
    shows_variables: bool = True
    locked: bool = False
    meanwhile: Callable[[], None] | None = None
    """Happens once, while a status is on its way."""
    base: str = ""
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)

    @property
    def posts(self) -> list[Any]:
        """Return the bodies that were posted."""
        return [body for method, _, _, body in self.asked if method == "POST"]

    @property
    def state(self) -> str:
        """Return what the commit shows."""
        return str(self.statuses[-1]["state"])


@contextlib.contextmanager
def running() -> Iterator[GitLab]:
    """Serve a GitLab for as long as the block runs."""
    held = GitLab()

    class Handler(_Handler):
        gitlab = held

    with serving(Handler) as url:
        held.base = url
        yield held


class _Handler(QuietHandler):
    gitlab: GitLab

    def do_GET(self) -> None:
        self._take("GET", None)
        if self.path.startswith("/api/v4/projects?") and "PRIVATE-TOKEN" not in self.headers:
            self._say(200, [])
            return
        if not self._signed_in():
            return
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        pipelines = {str(one["id"]): one for one in self.gitlab.pipelines}
        if path == "/api/v4/user":
            self._say(200, {"username": "project_1_bot"})
        elif path == PROJECT:
            self._say(200, {"id": 1, "path_with_namespace": "acme/shop"})
        elif path == f"{PROJECT}/pipelines":
            shown = [one for one in self.gitlab.pipelines[::-1] if one["ref"] == query["ref"][0] and query["source"] == ["trigger"]]
            self._say(200, [{name: value for name, value in one.items() if name != "variables"} for one in shown])
        elif path.endswith("/variables") and (found := pipelines.get(path.split("/")[-2])):
            shown = [{"variable_type": "env_var", "key": key, "value": value} for key, value in found["variables"].items()]
            self._say(200, shown) if self.gitlab.shows_variables else self._say(403, {"message": "403 Forbidden"})
        elif found := pipelines.get(path.rsplit("/", 1)[1]):
            self._say(200, found)
        else:
            self._say(404, {"message": "404 Not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._take("POST", body)
        path = urlsplit(self.path).path
        if path == f"{PROJECT}/trigger/pipeline":
            self._trigger(body)
        elif self._signed_in():
            self._status(path, body) if path.startswith(f"{PROJECT}/statuses/") else self._say(404, {"message": "404 Project Not Found"})

    def _trigger(self, body: dict[str, Any]) -> None:
        if body.get("token") != TRIGGER:
            self._say(404, {"message": "404 Not Found"})
        elif body["ref"] == "gone":
            self._say(400, {"message": {"base": ["Reference not found"]}})
        elif body.get("variables") and not self.gitlab.allows_variables:
            self._say(400, {"message": {"base": ["Insufficient permissions to set pipeline variables"]}})
        else:
            number = 47 + len(self.gitlab.pipelines)
            link = f"https://gitlab.example.com/acme/shop/-/pipelines/{number}"
            made = {"id": number, "status": "created", "ref": body["ref"], "web_url": link, "variables": body.get("variables", {})}
            self.gitlab.pipelines.append(made)
            self._say(201, {name: value for name, value in made.items() if name != "variables"})

    def _status(self, path: str, body: dict[str, Any]) -> None:
        meanwhile, self.gitlab.meanwhile = self.gitlab.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        known = [one for one in self.gitlab.statuses if one["sha"] == path.rsplit("/", 1)[1] and one["name"] == body["name"]]
        last, state = known[-1]["state"] if known else "created", body["state"]
        if self.gitlab.locked:
            self._say(409, {"message": "409 Conflict"})
        elif len(body.get("description", "")) > 255 or len(body.get("target_url", "")) > 255:
            self._say(400, {"message": {"description": ["is too long (maximum is 255 characters)"]}})
        elif last == state:
            said = f'Cannot transition status via :{_MOVES[state]} from :{last} (Reason(s): Status cannot transition via "{_MOVES[state]}")'
            self._say(400, {"message": said})
        else:
            self.gitlab.statuses.append({"sha": path.rsplit("/", 1)[1], **body})
            self._say(201, {"id": len(self.gitlab.statuses), "status": state})

    def _take(self, method: str, body: Any) -> None:
        self.gitlab.asked.append((method, self.path, {name.lower(): value for name, value in self.headers.items()}, body))

    def _signed_in(self) -> bool:
        if self.headers.get("PRIVATE-TOKEN") == ACCESS:
            return True
        self._say(401, {"message": "401 Unauthorized"})
        return False

    def _say(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)
