from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import OperationalError

from core.fields import RawJSONField
from tests.factories import EventFactory
from tests.webhooks.engine_kit import due, hook, row
from webhooks.engine import targets
from webhooks.engine.targets import large_payloads, load_targets
from webhooks.models import Webhook
from webhooks.retry import DEFAULT_SCHEDULE

pytestmark = pytest.mark.django_db


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
