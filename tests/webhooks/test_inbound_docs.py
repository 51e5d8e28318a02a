"""Every line of send_webhook in the documentation does what the page says, against a source of its provider."""

from __future__ import annotations

import io
import re
import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from core.http.messages import Answer, OutboundRequest
from integrations import registry
from integrations.contract.inbound import Receiver
from tests.everything import ROOT
from tests.webhooks.inbound_kit import sender as sender
from tests.webhooks.inbound_kit import work_off
from webhooks.inbound.sources import create_source
from webhooks.management.commands import send_webhook
from webhooks.models import Receipt

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PAGES = ("inbound-providers.md", "inbound.md", "webhooks.md")
COMMAND = re.compile(r"^python manage\.py send_webhook (.+)$", re.MULTILINE)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PORTAL = "https://portal.example.com"
LINES = [(page, line) for page in PAGES for line in COMMAND.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))]


def test_there_is_a_line_for_every_provider() -> None:
    known = {connector.key for connector in registry.with_capability(Receiver)} - {"sender"}
    assert {line.partition("--provider ")[2].partition(" ")[0] for _, line in LINES} >= known


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page} {line[:70]}" for page, line in LINES])
def test_it_does_what_the_page_says(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line)
    provider = words[words.index("--provider") + 1] if "--provider" in words else "github"
    config: dict[str, Any] = dict(words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "--option")
    if provider in ("gitlab", "jenkins"):
        config.setdefault("mode", {"gitlab": "token", "jenkins": "basic"}[provider])
    if provider == "generic":
        config.setdefault("mode", "hmac")
    made, _ = create_source({"name": provider, "provider": provider, "config": config}, secret=SECRET)
    own = f"{PORTAL}/api/v1/webhook/{provider}/{made.pk}"
    answers: list[int] = []

    def post(requests: list[OutboundRequest]) -> list[Answer]:
        for one in requests:
            path = one.url.replace(PORTAL, "").replace("http://127.0.0.1:9000/", own.removeprefix(PORTAL))
            given = dict(one.headers)
            answer = Client(raise_request_exception=False).post(path, one.body, content_type=given.pop("Content-Type"), headers=given)
            answers.append(answer.status_code)
        return [Answer(datetime.now(UTC), status=status) for status in answers]

    monkeypatch.setattr(send_webhook.asyncio, "run", post)
    monkeypatch.setattr(send_webhook, "_post", lambda requests: requests)
    monkeypatch.setenv("SEND_WEBHOOK_SECRET", SECRET)
    arguments = [word.replace("$PORTAL", PORTAL).replace("$ID", str(made.pk)) for word in words]
    out = io.StringIO()
    if "--tamper" in words or "--stale" in words:
        with pytest.raises(CommandError, match="did not take it"):
            call_command("send_webhook", *arguments, stdout=out)
        assert answers == [403]
        return
    call_command("send_webhook", *arguments, stdout=out)
    assert SECRET not in out.getvalue()
    if "--list" in words:
        return
    work_off()
    assert answers == [200 if "url_verification" in words else 202] * (2 if "--replay" in words else 1)
    outcomes = sorted(Receipt.objects.values_list("outcome", flat=True))
    expected = "ignored" if "url_verification" in words else "processed"
    assert outcomes == ["duplicate"] * ("--replay" in words) + [expected]
