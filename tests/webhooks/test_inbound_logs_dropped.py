"""What is known to carry a build's log is not stored; everything else is, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from integrations.connectors.jenkins.connector import Jenkins
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.webhooks.inbound_kit import Sender, digest, send, source, work_off
from tests.webhooks.inbound_kit import sender as sender
from webhooks.inbound import logs_dropped
from webhooks.inbound.keeping import kept
from webhooks.inbound.logs_dropped import Kept, before_logs, without_logs
from webhooks.models import Receipt, ReceiptPart

pytestmark = [pytest.mark.django_db, pytest.mark.once]
LINE = "AWS_SECRET_ACCESS_KEY=planted-3f9e"
PATHS = ("build.log", "jobs.output")


@pytest.fixture(autouse=True)
def _paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sender, "log_fields", PATHS)


def test_a_log_is_left_out_after_the_check_and_said(alice: User) -> None:
    data = {"build": {"number": 7, "log": LINE * 20_000}, "name": "shop", "jobs": {"output": LINE}}
    body = json.dumps(data).encode()
    assert send(source(owner=owner_of(alice)), body, id="1").status_code == 202
    receipt, client = Receipt.objects.get(), client_of(alice)
    assert (receipt.size, receipt.body_hash, receipt.parts, ReceiptPart.objects.count()) == (len(body), digest(body), 0, 0)
    found = kept(receipt)
    assert json.loads(found.request.body) == {"build": {"number": 7}, "name": "shop", "jobs": {}}
    shown = client.get(f"/api/v1/inbound-events/{receipt.pk}").json()
    assert (shown["dropped_fields"], shown["body_truncated"]) == (["build.log", "jobs.output"], False)
    work_off()
    receipt.refresh_from_db()
    assert receipt.outcome == "processed"


@pytest.mark.parametrize("body", [b'{"a":  1.10, "b": 12345678901234567890123}', b"log=1", b'{"build": {"number": 7}}', b'{"log": 1 }'])
def test_a_body_without_one_is_kept_to_the_byte(body: bytes, alice: User) -> None:
    send(source(owner=owner_of(alice)), body)
    assert kept(Receipt.objects.get()).request.body == body


def test_a_body_is_not_read_unless_it_names_such_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unused:
        def loads(self, body: bytes) -> Any:
            raise AssertionError("it was read")

    monkeypatch.setattr(logs_dropped, "orjson", Unused())
    assert without_logs(b'{"build": {"catalog": 1}}', PATHS) == Kept(b'{"build": {"catalog": 1}}')
    assert without_logs(b'{"build": {"log": 1}}', ()) == Kept(b'{"build": {"log": 1}}')


def test_a_strangers_body_is_kept_up_to_the_first_such_name() -> None:
    body = b'{"name": "shop", "build": {"number": 7, "log": "%s"}}' % LINE.encode()
    assert send(source(), body, secret="another").status_code == 403
    found = kept(Receipt.objects.get())
    assert (found.request.body, found.dropped) == (b'{"name": "shop", "build": {"number": 7, ', ("build.log and what follows",))


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b'[{"log": 1}]', Kept(b'[{"log": 1}]')),
        (b'{"build": [1], "log": 2}', Kept(b'{"build": [1], "log": 2}')),
        (b'{"build": {"log": null}}', Kept(b'{"build": {"log": null}}')),
        (b'{"build": {"log": "a", "log": "b"}}', Kept(b'{"build":{}}', ("build.log",))),
        (b'{"x": 1, "log": ', Kept(b'{"x": 1, ', ("build.log and what follows",))),
    ],
)
def test_whatever_the_body_holds_it_is_not_lost(body: bytes, left: Kept) -> None:
    assert without_logs(body, PATHS) == left


def test_jenkins_names_its_log() -> None:
    assert before_logs(b'{"build":{"log":"x"}}', Jenkins.log_fields).body == b'{"build":{'
