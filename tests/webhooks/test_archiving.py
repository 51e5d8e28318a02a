"""Old delivery logs are archived before they are deleted, whatever is killed or fails in between."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from core import runtime
from core.errors import Unavailable
from core.housekeeping import Batch, find, run_now
from core.ids import first_id_at
from core.models import Event, Owner
from integrations.connectors.storage.connector import Storage
from integrations.contract.schema import validate_values
from integrations.models import Integration
from tests.factories import EventFactory, WebhookFactory
from webhooks import archiving
from webhooks import housekeeping as jobs
from webhooks.choices import DeliveryStatus, Outcome
from webhooks.models import DeliveryAttempt, Webhook, WebhookDelivery
from webhooks.services import purge_deleted_webhooks

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def root(settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.STORAGE_LOCAL_ROOT = str(tmp_path)
    runtime.forget()
    yield tmp_path
    runtime.forget()


def storage(**more: Any) -> Integration:
    config, _ = validate_values(Storage, {"place": "local", "folder": "archive", "archive_logs": True}, {})
    return Integration.objects.create(name="Cold", type="storage", category="storage", config=config | more.pop("config", {}), **more)


def old(count: int = 3, attempts: int = 2, webhook: Webhook | None = None) -> list[WebhookDelivery]:
    """Insert finished deliveries of forty days ago, with attempts."""
    webhook, event = webhook or WebhookFactory(), EventFactory()
    then = timezone.now() - timedelta(days=40)
    base = first_id_at(then).int
    made = WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            id=type(event.id)(int=base + WebhookDelivery.objects.count() + number), webhook=webhook, event=event, event_type=event.type,
            status=DeliveryStatus.SUCCESS, attempts=attempts, created_at=then, finished_at=then,
        )
        for number in range(count)
    )  # fmt: skip
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(
            delivery=delivery, webhook_id=webhook.id, number=number + 1, outcome=Outcome.SUCCESS, started_at=then, url="https://x",
            response_body="thanks ü\n",
        )
        for delivery in made
        for number in range(attempts)
    )  # fmt: skip
    return made


def archived(root: Path) -> list[dict[str, Any]]:
    """Return every line of every file of the archive."""
    files = sorted(root.rglob("*.jsonl.gz"))
    return [json.loads(line) for path in files for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def ids(lines: list[dict[str, Any]], kind: str) -> list[str]:
    return sorted(line["id"] for line in lines if line["kind"] == kind)


def left() -> tuple[int, int]:
    return WebhookDelivery.objects.filter(status=DeliveryStatus.SUCCESS).count(), DeliveryAttempt.objects.count()


def test_everything_that_is_deleted_stands_in_the_archive(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "MOST_ROWS", 5)
    monkeypatch.setattr(jobs, "MOST_ROWS", 5)
    storage()
    made = [*old(4), *old(1, attempts=13), *old(2)]
    attempts = [str(key) for key in DeliveryAttempt.objects.values_list("id", flat=True)]
    assert run_now(find("webhooks.deliveries")) == len(made) + len(attempts)
    assert left() == (0, 0)
    lines = archived(root)
    assert sorted(set(ids(lines, "delivery"))) == sorted(str(delivery.id) for delivery in made)
    assert sorted(ids(lines, "attempt")) == sorted(attempts)
    assert {line["response_body"] for line in lines if line["kind"] == "attempt"} == {"thanks ü\n"}
    assert all(path.parent.relative_to(root).parts[:3] == ("archive", "logs", "deliveries") for path in root.rglob("*.gz"))


def test_a_kill_after_the_archive_deletes_nothing_and_the_next_run_writes_the_same_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage()
    old()

    class Killed(BaseException):
        pass

    def dies(*_: Any) -> int:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "delete_rows", dies)
        with pytest.raises(Killed):
            jobs.prune_deliveries(Batch(cursor="success"))
    assert left() == (3, 6)
    before = {path: path.read_bytes() for path in root.rglob("*.gz")}
    assert len(before) == 1
    run_now(find("webhooks.deliveries"))
    assert left() == (0, 0)
    assert {path: path.read_bytes() for path in root.rglob("*.gz")} == before


def test_what_changed_after_it_was_archived_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    storage()
    first, second, third = old()
    write = archiving.keep

    def redelivered_meanwhile(*args: Any) -> None:
        write(*args)
        WebhookDelivery.objects.filter(id=second.id).update(attempts=3)
        DeliveryAttempt.objects.create(
            delivery=second, webhook_id=second.webhook_id, number=3, outcome=Outcome.SUCCESS, started_at=timezone.now(), url="https://x"
        )

    monkeypatch.setattr(archiving, "keep", redelivered_meanwhile)
    jobs.prune_deliveries(Batch(cursor="success"))
    assert set(WebhookDelivery.objects.values_list("id", flat=True)) == {second.id}
    assert DeliveryAttempt.objects.filter(delivery_id=second.id).count() == 3
    assert first
    assert third


def test_an_archive_that_fails_keeps_the_logs_and_says_so_once_a_day(settings: Any) -> None:
    storage()
    old()
    settings.STORAGE_LOCAL_ROOT = "/nowhere/at/all"
    for _ in range(2):
        with pytest.raises(Unavailable, match="The archive Cold took no logs, so none were deleted: STORAGE_LOCAL_ROOT"):
            run_now(find("webhooks.deliveries"))
    assert left() == (3, 6)
    (event,) = Event.objects.filter(type="integration.archive_failed")
    assert event.payload["integration"] == "Cold"


def test_an_inactive_archive_is_waited_for() -> None:
    storage(status="inactive")
    old()
    with pytest.raises(Unavailable, match="is inactive; activate it first"):
        run_now(find("webhooks.deliveries"))
    assert left() == (3, 6)


@pytest.mark.parametrize("of_a_team", [False, True])
def test_others_keep_no_logs(root: Path, of_a_team: bool) -> None:
    team = Owner.objects.create(team=Group.objects.create(name="red"))
    storage(**({"owner": team} if of_a_team else {"config": {"archive_logs": False}}))
    old()
    run_now(find("webhooks.deliveries"))
    assert left() == (0, 0)
    assert archived(root) == []


def test_what_a_deleted_webhook_leaves_is_archived_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "MOST_ROWS", 4)
    storage()
    webhook = WebhookFactory()
    made = [*old(3, 2, webhook), *old(1, 9, webhook)]
    attempts = [str(key) for key in DeliveryAttempt.objects.values_list("id", flat=True)]
    Webhook.objects.update(deleted_at=timezone.now() - timedelta(hours=2))
    purge_deleted_webhooks()
    assert left() == (0, 0)
    lines = archived(root)
    assert sorted(set(ids(lines, "delivery"))) == sorted(str(delivery.id) for delivery in made)
    assert sorted(ids(lines, "attempt")) == sorted(attempts)
    assert not Webhook.objects.defer("secrets", "headers").exists()
