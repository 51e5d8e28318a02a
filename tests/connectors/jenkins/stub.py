"""A Jenkins as documented: queue, builds, crumbs bound to the session, and the Generic Webhook Trigger plugin."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.serving import QuietHandler, serving

USER, API_TOKEN, GWT_TOKEN, HMAC_SECRET = "repoguard", "planted-api-token-11f3", "planted-gwt-token-77aa", "planted-hmac-secret-55cc"
INVOKE = "/generic-webhook-trigger/invoke"
BEHIND_A_PROXY = "http://10.9.8.7:8080/inner"
"""What Jenkins takes for its own root: nothing may be sent there."""


@dataclass
class Job:
    """A job, by what it takes and what became of it."""

    declared: tuple[str, ...] | None = ("REPOGUARD_EVENT", "COMMIT")
    """Its parameters; None for a job without."""
    disabled: bool = False
    fits: bool = True
    """The plugin's filter lets events in."""
    builds: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Jenkins:
    """The server's state, and what it was asked."""

    jobs: dict[str, Job] = field(default_factory=lambda: {"/job/acme/job/shop": Job()})
    queue: dict[int, dict[str, Any]] = field(default_factory=dict)
    wants_crumb: bool = False
    refuses_queue: bool = False
    demands_hmac: bool = False
    fails_after_trigger: bool = False
    silent: bool = False
    base: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def posts(self) -> list[str]:
        """Return the paths that were posted to."""
        return [path for method, path, *_ in self.asked if method == "POST"]

    def enqueue(self, path: str, parameters: dict[str, str]) -> int:
        """Put a build into the queue; what the job does not declare is dropped."""
        declared = self.jobs[path].declared or ()
        kept = [{"name": name, "value": value} for name, value in parameters.items() if name in declared]
        item = 100 + len(self.queue)
        self.queue[item] = {"id": item, "job": path, "actions": [{}, {"parameters": kept}], "task": {"url": f"{BEHIND_A_PROXY}{path}/"}}
        return item

    def begin(self, item: int, number: int = 812) -> None:
        """Let an item leave the queue as a build."""
        held = self.queue[item]
        held["executable"] = {"number": number, "url": f"{BEHIND_A_PROXY}{held['job']}/{number}/"}
        build = {"number": number, "queueId": item, "building": True, "result": None, "actions": held["actions"]}
        self.jobs[held["job"]].builds.insert(0, build)

    def end(self, result: str) -> None:
        """Let every build end so."""
        for job in self.jobs.values():
            for build in job.builds:
                build.update(building=False, result=result)


@contextlib.contextmanager
def running() -> Iterator[Jenkins]:
    """Serve a Jenkins for as long as the block runs."""
    state = Jenkins()

    class Handler(_Handler):
        jenkins = state

    with serving(Handler) as url:
        state.base = url
        yield state


class _Handler(QuietHandler):
    jenkins: Jenkins
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with self.jenkins.lock:
            self._take("GET", b"")
            self._get(urlsplit(self.path).path.removesuffix("/api/json"))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.jenkins.lock:
            self._take("POST", body)
            path = urlsplit(self.path).path
            if path == INVOKE:
                self._invoke(body)
            elif self._signed_in():
                self._build(path, dict(parse_qsl(body.decode(), keep_blank_values=True)))

    def _take(self, method: str, body: bytes) -> None:
        self.jenkins.asked.append((method, self.path, {name.lower(): value for name, value in self.headers.items()}, body))

    def _say(self, status: int, body: Any = b"", **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("X-Jenkins", "2.462.3")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def _signed_in(self) -> bool:
        wanted = base64.b64encode(f"{USER}:{API_TOKEN}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {wanted}":
            return True
        self._say(401, b"<html>Invalid password/token for user</html>")
        return False

    def _get(self, path: str) -> None:
        state = self.jenkins
        if not self._signed_in():
            return
        if path == "/whoAmI":
            self._say(200, {"name": USER, "anonymous": False, "authenticated": True})
        elif path == "/crumbIssuer" and state.wants_crumb:
            self.send_response(200)
            raw = json.dumps({"crumb": "c0ffee", "crumbRequestField": "Jenkins-Crumb"}).encode()
            self.send_header("Set-Cookie", "JSESSIONID.1a=node0abc; Path=/; Expires=Wed, 09 Jun 2027 10:18:14 GMT; HttpOnly")
            self.send_header("Set-Cookie", "sticky=b2; Path=/")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
        elif path == "/queue":
            self._say(200, {"items": [item for item in state.queue.values() if "executable" not in item]})
        elif path.startswith("/queue/item/"):
            item = state.queue.get(int(path.rsplit("/", 1)[1]))
            self._say(200, item) if item else self._say(404, b"<html>Not found</html>")
        elif path in state.jobs:
            job = state.jobs[path]
            definitions = [{"parameterDefinitions": [{"name": name} for name in job.declared]}] if job.declared else []
            self._say(200, {"property": [{}, *definitions], "builds": job.builds})
        else:
            job_path, _, number = path.rpartition("/")
            builds = state.jobs[job_path].builds if job_path in state.jobs else []
            build = next((one for one in builds if str(one["number"]) == number), None)
            self._say(200, build) if build else self._say(404, b"<html>Not found</html>")

    def _build(self, path: str, parameters: dict[str, str]) -> None:
        state = self.jenkins
        job_path, _, what = path.rpartition("/")
        job = state.jobs.get(job_path)
        with_crumb = self.headers.get("Jenkins-Crumb") == "c0ffee" and "JSESSIONID.1a=node0abc" in self.headers.get("Cookie", "")
        if state.wants_crumb and not with_crumb:
            self._say(403, b"<html><title>Error 403 No valid crumb was included in the request</title></html>")
        elif job is None:
            self._say(404, b"<html>Not found</html>")
        elif job.disabled:
            self._say(409, b"<html>acme/shop is not buildable</html>")
        elif what == "buildWithParameters" and job.declared is None:
            self._say(500, b"<html>java.lang.IllegalStateException: This build is not parameterized!</html>")
        elif what == "build" and job.declared is not None:
            self._say(400, b"<html>Nothing is submitted</html>")
        elif state.refuses_queue:
            self._say(302, Location=f"{BEHIND_A_PROXY}{job_path}/")
        else:
            self._say(201, Location=f"{BEHIND_A_PROXY}/queue/item/{state.enqueue(job_path, parameters)}/")

    def _invoke(self, body: bytes) -> None:
        state = self.jenkins
        signature = "sha256=" + hmac.new(HMAC_SECRET.encode(), body, hashlib.sha256).hexdigest()
        if state.demands_hmac and self.headers.get("X-Hub-Signature-256", "").lower() != signature:
            self._say(403, {"jobs": None, "message": f"Sender is not whitelisted. Headers: {dict(self.headers)}"})
            return
        if self.headers.get("token") != GWT_TOKEN:
            supplied = "A token was supplied.\n"
            self._say(404, {"jobs": None, "message": f"Did not find any jobs with GenericTrigger configured! {supplied}"})
            return
        jobs = {}
        for path, job in state.jobs.items():
            name = "/".join(path.split("/job/")[1:])
            begins = job.fits and self.headers.get("gwt-dry-run") != "true"
            item = state.enqueue(path, {}) if begins else 0
            jobs[name] = {"id": item, "triggered": begins, "url": f"queue/item/{item}/" if begins else "",
                          "resolvedVariables": {"all": body.decode()}, "regexpFilterText": "", "regexpFilterExpression": ""}  # fmt: skip
        if state.fails_after_trigger:
            self._say(500, {"jobs": jobs, "message": "There were errors when triggering jobs."})
        elif state.silent:
            self._say(200)
        else:
            self._say(200, {"jobs": jobs, "message": "Triggered jobs."})
