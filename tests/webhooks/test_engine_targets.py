from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from core.fields import RawJSONField
from tests.factories import EventFactory
from tests.webhooks.engine_kit import due, hook, row, worker
from webhooks.engine import targets
from webhooks.engine.targets import TargetCache, large_payloads, load_targets
from webhooks.engine.types import Target
from webhooks.models import Webhook
from webhooks.retry import DEFAULT_SCHEDULE
from webhooks.secrets import new_secret, rotated
from webhooks.services import rotate_secret, update_webhook

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


def test_a_target_has_what_a_request_needs() -> None:
    made = hook(headers={"X-Mine": "1"}, retry_config={"schedule": [7, 8]})
    (target,) = load_targets([made.id]).values()
    assert (target.webhook_id, target.url, target.headers, target.schedule) == (made.id, made.url, {"X-Mine": "1"}, (7.0, 8.0))
    assert target.secrets == (made.secrets[0]["secret"],)
    assert not target.problem


def test_without_headers_and_schedule_there_are_none_and_the_default() -> None:
    made = hook()
    target = load_targets([made.id])[made.id]
    assert (target.headers, target.schedule) == ({}, DEFAULT_SCHEDULE)


def test_nothing_is_asked_for_no_webhooks(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert load_targets([]) == {}
        assert large_payloads([row()]) == {}


def test_many_are_loaded_in_one_statement(django_assert_num_queries: Any) -> None:
    made = [hook().id for _ in range(5)]
    with django_assert_num_queries(1):
        assert set(load_targets(made)) == set(made)


@pytest.mark.parametrize("field", ["secrets", "headers"])
def test_one_unreadable_secret_harms_no_other(field: str, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    good = hook()
    keys = settings.FERNET_KEYS
    settings.FERNET_KEYS = ["a lost key, long and dull"]
    bad = hook(headers={"A": "b"})
    settings.FERNET_KEYS = keys
    if field == "headers":
        Webhook.objects.filter(id=bad.id).update(secrets=good.secrets)
    found = load_targets([good.id, bad.id])
    assert (found[good.id].problem, found[good.id].secrets) == ("", (good.secrets[0]["secret"],))
    assert "FERNET_KEYS" in found[bad.id].problem
    assert (found[bad.id].secrets, found[bad.id].headers) == ((), {})
    assert "webhook_unreadable" in caplog.text


@pytest.mark.parametrize(
    "broken",
    [{"secrets": ["nonsense"]}, {"secrets": 5}, {"headers": ["a"]}, {"retry_config": {"schedule": ["soon"]}}, {"retry_config": [1]}],
    ids=str,
)
def test_whatever_else_is_wrong_with_one_harms_no_other(broken: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    good, bad = hook(), hook()
    Webhook.objects.filter(id=bad.id).update(**broken)
    found = load_targets([good.id, bad.id])
    assert not found[good.id].problem
    assert "can't be read" in found[bad.id].problem
    assert found[bad.id].schedule == DEFAULT_SCHEDULE
    assert "nonsense" not in caplog.text


def test_a_webhook_without_a_secret_sends_nothing_unsigned() -> None:
    bad = hook()
    Webhook.objects.filter(id=bad.id).update(secrets=[])
    assert "Rotate its secret" in load_targets([bad.id])[bad.id].problem


@pytest.mark.parametrize("name", ["_target", "_readable"])
def test_a_lost_database_is_not_taken_for_a_broken_webhook(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = hook()
    Webhook.objects.filter(id=made.id).update(secrets=["broken"] if name == "_readable" else made.secrets)
    real, calls = targets._target, []

    def away(one: Webhook) -> Any:
        calls.append(one)
        if name == "_target" or len(calls) > 1:
            raise OperationalError("gone")
        return real(one)

    monkeypatch.setattr(targets, "_target", away)
    with pytest.raises(OperationalError):
        load_targets([made.id])


def test_large_payloads_are_read_as_they_are_stored() -> None:
    payload = {"z": "\ud800", "a": "x" * 70_000}
    event = EventFactory(payload=payload)
    (delivery,) = due(hook(), event=event)
    read = large_payloads([row(event_id=event.id, delivery_id=delivery.id, data=None), row(event_id=uuid.uuid4())])
    assert read == {event.id: RawJSONField.dump(payload)}


# --- kept targets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[set[Any]]:
    """Return what is loaded, call by call."""
    real, calls = targets.load_targets, []

    def load(webhook_ids: Any) -> Any:
        if webhook_ids:
            calls.append(set(webhook_ids))
        return real(webhook_ids)

    monkeypatch.setattr(targets, "load_targets", load)
    return calls


def test_a_webhook_of_the_same_version_is_decrypted_once(loads: list[set[Any]]) -> None:
    made, other, cache = hook().id, hook().id, TargetCache()
    first = cache.load({made: "1"})
    assert cache.load({made: "1", other: "1"})[made] is first[made]
    assert loads == [{made}, {other}]
    cache.load({made: "2", other: "1"})
    assert loads[2:] == [{made}]


def test_without_a_version_nothing_is_kept(loads: list[set[Any]]) -> None:
    made, cache = hook().id, TargetCache()
    cache.load({made: None})
    cache.load({made: None})
    assert loads == [{made}, {made}]


def test_a_previous_secret_ceases_to_sign_when_it_expires(loads: list[set[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    made, cache = hook(), TargetCache()
    old, new = made.secrets[0]["secret"], new_secret()
    made.secrets = rotated(made.secrets, new, overlap_hours=1)
    made.save()
    now = timezone.now()
    assert cache.load({made.id: "1"})[made.id].secrets == (new, old)
    monkeypatch.setattr("webhooks.engine.targets.timezone.now", lambda: now + timedelta(minutes=59))
    assert cache.load({made.id: "1"})[made.id].secrets == (new, old)
    monkeypatch.setattr("webhooks.engine.targets.timezone.now", lambda: now + timedelta(minutes=61))
    assert cache.load({made.id: "1"})[made.id].secrets == (new,)
    assert cache.load({made.id: "1"})[made.id].valid_until is None
    assert len(loads) == 2


def test_one_that_cannot_be_read_is_tried_again(loads: list[set[Any]]) -> None:
    made, cache = hook(), TargetCache()
    Webhook.objects.filter(id=made.id).update(secrets=[])
    assert cache.load({made.id: "1"})[made.id].problem
    made.save()
    assert not cache.load({made.id: "1"})[made.id].problem


def test_it_never_holds_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MAX_TARGETS", 3)
    cache = TargetCache()
    for _ in range(8):
        cache.load({hook().id: "1"})
        assert len(cache._kept) <= 3


def test_whatever_changes_of_a_webhook_is_in_force_with_the_next_claim() -> None:
    made, store = hook(concurrency=50), worker()

    def claimed() -> Target:
        due(made)
        return store.turn([], 100).claimed[0].target

    first = claimed()
    assert claimed() == first
    update_webhook(made, {"url": "https://example.com/moved"})
    assert claimed().url == "https://example.com/moved"
    update_webhook(made, {"headers": {"X-New": "1"}})
    assert claimed().headers == {"X-New": "1"}
    Webhook.objects.filter(id=made.id).update(headers={"X-New": "2"})  # and one after the other in one transaction
    assert claimed().headers == {"X-New": "2"}
    update_webhook(made, {"retry_config": {"schedule": [3]}})
    assert claimed().schedule == (3.0,)
    rotate_secret(made)
    assert len(claimed().secrets) == 2
    assert claimed().secrets[1] == first.secrets[0]


def test_an_engine_on_postgresql_decrypts_an_unchanged_webhook_once(loads: list[set[Any]]) -> None:
    made, store = hook(), worker()
    for _ in range(3):
        due(made)
        store.turn([], 100)
    assert len(loads) == (1 if connection.vendor == "postgresql" else 3)
