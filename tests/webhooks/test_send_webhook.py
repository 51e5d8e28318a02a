"""`manage.py send_webhook`: what it sends, to whom, what it shows, and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core import signing
from tests.core.http_servers import Receiver, answering, serving
from tests.webhooks.inbound_kit import sender as sender
from tests.webhooks.inbound_kit import source
from webhooks import secrets
from webhooks.management.commands.send_webhook import Command
from webhooks.models import InboundSource

pytestmark = pytest.mark.once
SECRET = "planted-command-4f1e77aa"
DONE = b'HTTP/1.1 202 Accepted\r\nContent-Length: 13\r\n\r\n{"id": "r-1"}'
ECHO = f"you sent {SECRET} and cGxhbnRlZA== token={SECRET}\x1b[2J".encode()


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """Serve on this machine in a thread: 202, then 403 with what the request said."""
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(ECHO), ECHO)
    started, stop, found = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with serving(answering(DONE, refused)) as one:
            found.append(one)
            started.set()
            await asyncio.get_running_loop().run_in_executor(None, stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    yield found[0]
    stop.set()
    thread.join(10)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEND_WEBHOOK_SECRET", SECRET)


def run(*words: str) -> str:
    """Return what the command prints."""
    out, err = io.StringIO(), io.StringIO()
    call_command("send_webhook", *words, stdout=out, stderr=err, no_color=True)
    return out.getvalue() + err.getvalue()


def refused(*words: str) -> str:
    """Return the words with which the command fails."""
    with pytest.raises(CommandError) as caught:
        call_command("send_webhook", *words, stdout=io.StringIO(), stderr=io.StringIO())
    assert SECRET not in str(caught.value)
    return str(caught.value)


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


def test_it_posts_a_signed_sample_and_shows_the_answer(receiver: Receiver) -> None:
    shown = run("--provider", "github", "--event", "push", receiver.url)
    first, headers, body = parts(receiver.requests[0])
    assert first == "POST /hook HTTP/1.1"
    assert (headers["x-github-event"], headers["x-hub-signature-256"]) == ("push", signing.hub_signature_256(SECRET, body))
    assert json.loads(body)["repository"]["full_name"] == "acme/shop"
    assert f"POST {receiver.url}" in shown
    assert headers["x-github-delivery"] in shown
    assert "Answered 202" in shown
    assert '{"id": "r-1"}' in shown
    assert SECRET not in shown


SHOWING = [
    ("jenkins", "started", "mode=basic"),
    ("jenkins", "started", "mode=address"),
    ("gitlab", "push", "mode=token"),
    ("alertmanager", "firing", ""),
    ("generic", "deploy.done", "mode=token"),
]


@pytest.mark.parametrize("words", SHOWING, ids=" ".join)
def test_a_secret_that_is_sent_is_not_shown(receiver: Receiver, words: tuple[str, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    provider, event, option = words
    out = io.StringIO()
    options = ["--provider", provider, "--event", event, *(["--option", option] if option else []), "--replay", "-v", "2", receiver.url]
    with pytest.raises(CommandError, match="did not take it"):  # the second is answered with 403 and what was sent
        call_command("send_webhook", *options, stdout=out, no_color=True)
    sent = receiver.requests[0].decode()
    assert SECRET in sent or signing.basic_value("jenkins", SECRET) in sent
    assert "you sent *** and" in out.getvalue()
    assert SECRET not in out.getvalue()
    assert signing.basic_value("jenkins", SECRET)[6:] not in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert capsys.readouterr() == ("", "")


def test_a_replay_is_the_same_request_and_every_answer_counts(receiver: Receiver) -> None:
    out = io.StringIO()
    with pytest.raises(CommandError, match="did not take it"):
        call_command("send_webhook", "--provider", "stripe", "--event", "invoice.paid", "--replay", receiver.url, stdout=out, no_color=True)
    assert receiver.requests[0] == receiver.requests[1]
    assert "Answered 202 (1 of 2)" in out.getvalue()
    assert "Answered 403 (2 of 2)" in out.getvalue()


def test_a_tampered_body_is_not_the_signed_one(receiver: Receiver) -> None:
    shown = run("--provider", "github", "--event", "push", "--tamper", receiver.url)
    _, headers, body = parts(receiver.requests[0])
    assert json.loads(body)["tampered"] is True
    assert headers["x-hub-signature-256"] != signing.hub_signature_256(SECRET, body)
    assert "does not sign the body" not in shown
    assert "push of GitHub, changed after it was signed" in shown
    with pytest.raises(CommandError):
        run("--provider", "gitlab", "--event", "push", "--tamper", receiver.url)


def test_a_stale_request_is_signed_with_an_old_time(receiver: Receiver) -> None:
    run("--provider", "stripe", "--event", "invoice.paid", "--stale", receiver.url)
    _, headers, _ = parts(receiver.requests[0])
    with pytest.raises(signing.BadSignatureError, match="older than"):
        signing.check_time(headers["stripe-signature"][2:].partition(",")[0], time.time(), 3600, "t")
    assert "signs no time" in refused("--provider", "github", "--event", "push", "--stale", receiver.url)
    assert len(receiver.requests) == 1


def test_the_bytes_of_a_file_are_sent_as_they_are(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b'{ "a" :\t1 }\n')
    run("--provider", "github", "--event", "issues", "--file", str(file), receiver.url)
    _, headers, body = parts(receiver.requests[0])
    assert (headers["x-github-event"], body) == ("issues", file.read_bytes())


URL = "https://receiver.example.com/"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Name a --provider (alertmanager, bitbucket"),
        (("--provider", "nosuch", "--event", "push", URL), "there are alertmanager"),
        (("--provider", "github", URL), "has the samples ping, push"),
        (("--provider", "github", "--event", "nosuch", URL), "--event nosuch is none of GitHub's samples; there are ping, push"),
        (("--provider", "github", "--event", "push"), "Name the URL"),
        (("--provider", "github", "--event", "push", "--file", "/nosuch", URL), "No such file"),
        (("--provider", "gitlab", "--event", "push", "--option", "mode", URL), "NAME=VALUE"),
        (("--provider", "gitlab", "--event", "push", "--option", "mode=x", URL), "--option mode must be one of"),
        (("--provider", "gitlab", "--event", "push", "--option", "mode=signing", URL), "--secret must be whsec_"),
        (("--provider", "generic", "--event", "deploy.done", "--option", "tolerance=x", URL), "--option tolerance"),
    ],
)
def test_what_is_missing_or_wrong_is_said(words: tuple[str, ...], said: str) -> None:
    assert said in refused(*words)


def test_a_refused_address_is_no_delivery(settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    out = io.StringIO()
    with pytest.raises(CommandError, match="Nothing was delivered"):
        call_command("send_webhook", "--provider", "github", "--event", "push", "https://127.0.0.1/", stdout=out)
    assert "EGRESS_ALLOW_CIDRS" in out.getvalue()


def test_the_list_shows_every_sample_and_option() -> None:
    shown = run("--list")
    assert "--event workflow_run" in shown
    assert "--option mode=token|signing" in shown
    assert "workflow_run" not in run("--list", "--provider", "gitlab")


def test_the_secret_may_be_piped_or_typed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEND_WEBHOOK_SECRET")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))
    run("--provider", "github", "--event", "push", receiver.url)
    _, headers, body = parts(receiver.requests[0])
    assert headers["x-hub-signature-256"] == signing.hub_signature_256(SECRET, body)
    assert "There is no secret" in refused("--provider", "github", "--event", "push", receiver.url)
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "typed-at-the-prompt")
    with pytest.raises(CommandError):
        run("--provider", "github", "--event", "push", receiver.url)
    _, headers, body = parts(receiver.requests[1])
    assert headers["x-hub-signature-256"] == signing.hub_signature_256("typed-at-the-prompt", body)


@pytest.mark.django_db
def test_a_source_says_who_sends_what_where_and_with_which_secret(receiver: Receiver, settings: Any) -> None:
    own = "planted-of-source-81bd"
    to = source(provider="gitlab", config={"mode": "token"}, secrets=secrets.initial(own))
    settings.PUBLIC_URL = receiver.url.removesuffix("/hook")
    shown = run("--source", str(to.pk), "--event", "push")
    first, headers, _ = parts(receiver.requests[0])
    assert first == f"POST /api/v1/webhook/gitlab/{to.pk} HTTP/1.1"
    assert headers["x-gitlab-token"] == own
    assert own not in shown
    settings.PUBLIC_URL = "http://127.0.0.1:1"
    assert "what PUBLIC_URL and PORT say here" in refused("--source", str(to.pk), "--event", "push")
    assert "PUBLIC_URL" not in refused("--source", str(to.pk), "--event", "push", settings.PUBLIC_URL)
    assert "no inbound source" in refused("--source", str(uuid.uuid4()), "--event", "push")
    assert "no inbound source" in refused("--source", "x", "--event", "push")
    assert "--provider the source is one of gitlab" in refused("--source", str(to.pk), "--provider", "github", "--event", "push")
    InboundSource.objects.update(secrets=[])
    assert "there is none" in refused("--source", str(to.pk), "--event", "push")


def test_as_a_program_it_ends_with_0_only_when_it_was_taken(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["manage.py", "send_webhook", "--provider", "github", "--event", "ping", receiver.url]
    Command().run_from_argv(list(words))
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(list(words))
    assert ended.value.code == 1
    assert "The receiver did not take it." in capsys.readouterr().err
