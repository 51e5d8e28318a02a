"""The local receiver: started as a command of its own, called over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from aiohttp import web
from django.core.management import CommandError, call_command

from core import signing
from tests.core.http_servers import post, sending
from webhooks.management.commands.catch_webhooks import Catch, Catcher, Command, manners_of
from webhooks.management.platforms import ENTER, PLATFORMS, Asked

pytestmark = pytest.mark.once  # it asks no database
ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Catching:
    """The command in a process of its own."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "catch_webhooks", "--port", "0", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "repoguard.settings")},
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()
        first = self.line()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", first)
        assert found, first
        self.port = int(found[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def line(self) -> str:
        return self.lines.get(timeout=30)

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        self.connection.request("POST", "/hook", body, headers or {})
        response = self.connection.getresponse()
        self.body = response.read()
        return response

    def stop(self) -> list[str]:
        """End it as Ctrl-C does; returns the lines not read yet."""
        self.connection.close()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == 0
        self.reading.join(10)
        return [self.lines.get() for _ in range(self.lines.qsize())]

    def end(self) -> None:
        self.connection.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.reading.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def catching():
    """Return a function that starts the command with options."""
    started: list[Catching] = []

    def start(*options: str) -> Catching:
        started.append(Catching(*options))
        return started[-1]

    yield start
    for one in started:
        one.end()


def _signed(body: bytes, secret: str = SECRET, message_id: str = "evt_1") -> dict[str, str]:
    now = int(time.time())
    return {"webhook-id": message_id, "webhook-timestamp": str(now), "webhook-signature": signing.sign(secret, message_id, now, body)}


def test_it_prints_verifies_marks_duplicates_and_saves(catching, tmp_path):
    saved = tmp_path / "caught.jsonl"
    other = signing.new_secret()
    catcher = catching("--secret", SECRET, "--secret", other, "--save", str(saved))
    body = b'{"id": "evt_1", "type": "repository.pushed", "data": {}}'
    assert catcher.post(body, _signed(body)).status == 200
    assert re.search(r"repository\.pushed  evt_1  56 bytes  verified  answered 200$", catcher.line())
    assert catcher.post(body, _signed(body, other)).status == 200
    assert catcher.line().endswith("verified  answered 200  duplicate, seen 2 times")
    catcher.post(body, _signed(b"another body", message_id="evt_2"))
    assert "evt_2  56 bytes  NOT verified: No signature fits" in catcher.line()
    catcher.post(b"no json")
    assert "(no type)  (no id)  7 bytes  NOT verified: The header webhook-id is missing." in catcher.line()
    assert catcher.stop() == ["4 deliveries, 3 different, 1 duplicates, 2 verified"]
    rows = [json.loads(line) for line in saved.read_text().splitlines()]
    assert [(row["id"], row["verified"]) for row in rows] == [("evt_1", True), ("evt_1", True), ("evt_2", False), ("(no id)", False)]
    assert rows[0].keys() == {"id", "type", "verified", "at", "headers", "body"}
    assert (rows[0]["body"], rows[0]["headers"]["webhook-id"]) == (body.decode(), "evt_1")


def test_without_a_secret_it_says_so_and_shows_bodies_when_asked(catching):
    catcher = catching("-v", "2")
    assert catcher.post(b'{"id": "a\\u001b[31m\\n", "type": "t"}').status == 200
    line = catcher.line()
    assert line.endswith("no secret given  answered 200")
    assert "a?[31m?" in line
    assert catcher.line() == '{"id": "a\\u001b[31m\\n", "type": "t"}'
    assert catcher.post(b"\x1b[31m[1, 2]").status == 200
    catcher.line()
    assert catcher.line() == "?[31m[1, 2]"
    catcher.connection.request("GET", "/")
    assert b"POST webhooks" in catcher.connection.getresponse().read()
    assert catcher.stop() == ["2 deliveries, 2 different, 0 duplicates"]


@contextlib.asynccontextmanager
async def caught(*options: str):
    """Run the receiver inside the test; yields its URL and the catches."""
    parsed = vars(Command().create_parser("manage.py", "catch_webhooks").parse_args(options))
    catches: list[Catch] = []
    catcher = Catcher(manners_of(parsed), [], catches.append, PLATFORMS.get(parsed["platform"]))
    server = web.Server(catcher.handle, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/", catches
    finally:
        listener.close()
        await server.shutdown(0)


@pytest.fixture
def _loopback(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]


@pytest.mark.usefixtures("_loopback")
@pytest.mark.parametrize(
    ("options", "statuses", "wait"),
    [
        (["--status", "503"], [503, 503], None),
        (["--gone"], [410, 410], None),
        (["--retry-after", "7"], [429, 429], 7.0),
        (["--retry-after", "7", "--status", "503"], [503, 503], 7.0),
        (["--fail-first", "1"], [500, 200], None),
    ],
)
async def test_it_answers_as_told(options, statuses, wait):
    async with caught(*options) as (url, catches), sending() as sender:
        answers = [await sender.send(post(url, body=b'{"id": "a"}')) for _ in statuses]
    assert [answer.status for answer in answers] == statuses
    assert answers[1].retry_after == wait
    assert [catch.seen for catch in catches] == [1, 2]


@pytest.mark.usefixtures("_loopback")
async def test_it_answers_as_a_platform():
    async with caught("--as", "slack", "--fail-first", "1") as (url, catches), sending() as sender:
        first, second = [await sender.send(post(url + "services/T/B/x", body=b'{"text": "x"}')) for _ in range(2)]
    assert (first.status, second.status, second.body) == (500, 200, b"ok")
    assert [catch.type for catch in catches] == ["POST /services/T/B/x"] * 2
    assert [(catch.id, catch.seen, catch.answer) for catch in catches] == [("", 1, "answered 500"), ("", 1, "answered 200")]


@pytest.mark.usefixtures("_loopback")
async def test_it_says_what_the_platform_answered():
    async with caught("--as", "github") as (url, catches), sending() as sender:
        await sender.send(post(url + "repos/acme/shop/dispatches", body=b"{}"))
    assert catches[0].answer == "answered 204"


def test_it_says_what_to_enter_in_the_portal(catching):
    catcher = catching("--as", "jenkins")
    assert f"Address of Jenkins http://127.0.0.1:{catcher.port}/, any user name" in catcher.line()
    assert ENTER.keys() == PLATFORMS.keys()


@pytest.mark.parametrize(
    ("platform", "method", "path", "status", "found"),
    [
        ("slack", "POST", "/services/T/B", 404, "no_service"),
        ("slack", "POST", "/services/T0/B0/x", 400, "no_text"),
        ("teams", "POST", "/workflows/x", 202, ""),
        ("teams", "POST", "/", 404, "WorkflowNotFound"),
        ("discord", "POST", "/api/webhooks/1/x", 200, '"id": "7"'),
        ("discord", "POST", "/webhooks/1/x", 404, "Unknown Webhook"),
        ("jenkins", "POST", "/generic-webhook-trigger/invoke", 200, '"triggered": true'),
        ("jenkins", "POST", "/job/a/buildWithParameters", 201, ""),
        ("jenkins", "GET", "/queue/item/7/api/json", 200, "http://here/job/try-it/7/"),
        ("jenkins", "GET", "/job/try-it/7/api/json", 200, '"result": "SUCCESS"'),
        ("github", "POST", "/repos/a/b/dispatches", 204, ""),
        ("github", "POST", "/repos/a/b/actions/workflows/x.yml/dispatches", 200, "http://here/repos/a/b/actions/runs/7"),
        ("github", "GET", "/repos/a/b/actions/runs/7", 200, '"conclusion": "success"'),
        ("github", "POST", "/repos/a/b/check-runs", 201, '"id": 7'),
        ("github", "GET", "/user", 200, '"login"'),
    ],
)
def test_platforms_answer_as_documented(platform, method, path, status, found):
    said = PLATFORMS[platform](Asked(method, path, b"{}", 7, "http://here"))
    assert said.status == status
    assert found in said.body


@pytest.mark.usefixtures("_loopback")
async def test_it_can_wait_and_close_and_drip():
    async with caught("--close") as (url, catches), sending() as sender:
        closed = await sender.send(post(url))
    async with caught("--delay", "5") as (url, _), sending() as sender:
        late = await sender.send(post(url, total_timeout=0.2))
    async with caught("--drip") as (url, _), sending() as sender:
        dripped = await sender.send(post(url, total_timeout=0.2))
    assert (closed.error_class, len(catches)) == ("disconnected", 1)
    assert (late.error_class, late.status) == ("timeout", None)
    assert (dripped.error_class, dripped.status, dripped.body) == ("timeout", 200, b".")


def test_it_can_count_instead_of_printing_each(catching):
    catcher = catching("--count")
    catcher.post(b"{}")
    assert catcher.line() == "1 deliveries, 1 different, 0 duplicates"
    with pytest.raises(CommandError, match="choose another --port"):
        call_command("catch_webhooks", "--port", str(catcher.port))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--secret", "hunter2"], "--secret: must start with whsec_"),
        (["--status", "99"], "--status must lie between"),
        (["--delay", "-1"], "--delay can't be negative"),
        (["--save", "/nonexistent/folder/file"], "No such file or directory; choose another"),
    ],
)
def test_bad_options_are_refused_with_a_sentence(options, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("catch_webhooks", *options)
