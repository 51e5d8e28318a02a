"""Stored values come under the new key without a lost update, whoever writes meanwhile."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from core import key_rotation
from core.encrypted_columns import EncryptedColumn, Replacement, Stored, columns
from core.fields import EncryptedTextField, key_id
from core.models import CachedAnswer, IdempotencyKey
from tests.core.processes import line_of, python, say
from tests.factories import WebhookFactory
from webhooks.models import Webhook

pytestmark = pytest.mark.postgres
OLD, NEW, OTHER = "old key, long and dull", "new key, long and dull", "a key of somebody else"


@pytest.fixture(autouse=True)
def _old_key(settings: Any) -> None:
    settings.FERNET_KEYS = [OLD]


def column(label: str) -> EncryptedColumn:
    return next(column for column in columns() if column.label == label)


def hooks(count: int) -> list[Webhook]:
    return [WebhookFactory.create(headers={"X-Number": str(number)}) for number in range(count)]


def raw(hook: Webhook, name: str = "headers") -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM webhooks_webhook WHERE name = %s", [hook.name])
        return bytes(cursor.fetchone()[0])


def put(hook: Webhook, value: bytes | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_webhook SET headers = %s WHERE name = %s", [value, hook.name])


@pytest.mark.django_db
def test_every_encrypted_field_of_every_model_is_found_once() -> None:
    labels = [one.label for one in columns()]
    assert len(labels) == len(set(labels))
    assert set(labels) >= {
        "webhooks.Webhook.secrets", "webhooks.Webhook.headers", "integrations.Integration.credentials",
        "integrations.OAuthGrant.refresh_token", "core.IdempotencyKey.answer", "core.CachedAnswer.body",
    }  # fmt: skip


@pytest.mark.django_db
def test_a_value_comes_under_the_new_key_and_reads_as_before(settings: Any) -> None:
    (hook,) = hooks(1)
    settings.FERNET_KEYS = [NEW, OLD]
    done = key_rotation.rotate(column("webhooks.Webhook.headers"))
    assert (done.changed, done.retaken, done.left, done.unreadable) == (1, 0, 0, {})
    assert raw(hook).startswith(key_id(NEW).encode())
    assert raw(hook, "secrets").startswith(key_id(OLD).encode())  # one column at a time
    settings.FERNET_KEYS = [NEW]
    assert Webhook.objects.values_list("headers", flat=True).get() == {"X-Number": "0"}


@pytest.mark.django_db
def test_values_on_the_new_key_are_skipped_without_reading_them(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks(3)
    settings.FERNET_KEYS = [NEW, OLD]
    key_rotation.rotate(column("webhooks.Webhook.headers"), batch=2)
    monkeypatch.setattr(EncryptedTextField, "decrypt", staticmethod(lambda stored: pytest.fail("decrypted again")))
    assert key_rotation.rotate(column("webhooks.Webhook.headers")).changed == 0


@pytest.mark.django_db
def test_empty_values_stay_empty(settings: Any) -> None:
    (hook,) = hooks(1)
    put(hook, None)
    settings.FERNET_KEYS = [NEW, OLD]
    assert key_rotation.rotate(column("webhooks.Webhook.headers")).changed == 0
    assert Webhook.objects.values_list("headers", flat=True).get() is None


@pytest.mark.django_db
def test_a_value_changed_since_it_was_read_is_left_alone() -> None:
    first, second = hooks(2)
    stale = [Stored(row.pk, row.value) for row in column("webhooks.Webhook.headers").batch(None, 10)]
    Webhook.objects.filter(pk=first.pk).update(headers={"X-Number": "written meanwhile"})
    done = column("webhooks.Webhook.headers").replace([Replacement(row, b"12345678:replaced") for row in stale])
    assert done == 1
    assert Webhook.objects.values_list("headers", flat=True).get(pk=first.pk) == {"X-Number": "written meanwhile"}
    assert raw(second) == b"12345678:replaced"


@pytest.mark.django_db
def test_what_changed_meanwhile_is_taken_again(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = hooks(3)
    settings.FERNET_KEYS = [NEW, OLD]
    replace, calls = EncryptedColumn.replace, []

    def meddled(self: EncryptedColumn, changes: list[Replacement]) -> int:
        if not calls:
            settings.FERNET_KEYS = [OLD, NEW]  # a process that was not restarted
            Webhook.objects.filter(pk=first.pk).update(headers={"X-Number": "written meanwhile"})
            settings.FERNET_KEYS = [NEW, OLD]
        calls.append(len(changes))
        return replace(self, changes)

    monkeypatch.setattr(EncryptedColumn, "replace", meddled)
    done = key_rotation.rotate(column("webhooks.Webhook.headers"))
    assert (done.changed, done.retaken, done.left) == (3, 1, 0)
    assert column("webhooks.Webhook.headers").counts() == {key_id(NEW): 3}
    assert Webhook.objects.values_list("headers", flat=True).get(pk=first.pk) == {"X-Number": "written meanwhile"}


@pytest.mark.django_db
def test_what_somebody_keeps_changing_is_left_and_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks(1)
    settings.FERNET_KEYS = [NEW, OLD]
    monkeypatch.setattr(EncryptedColumn, "replace", lambda self, changes: 0)
    done = key_rotation.rotate(column("webhooks.Webhook.headers"))
    assert (done.changed, done.left) == (0, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_batches_of_any_size_reach_every_value(settings: Any, batch: int) -> None:
    hooks(5)
    settings.FERNET_KEYS = [NEW, OLD]
    steps: list[int] = []
    done = key_rotation.rotate(column("webhooks.Webhook.headers"), batch=batch, on_progress=steps.append)
    assert (done.changed, sum(steps)) == (5, 5)


@pytest.mark.django_db
def test_large_values_are_read_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks(4)
    sizes = {len(row.value) for row in column("webhooks.Webhook.headers").batch(None, 10)}
    monkeypatch.setattr("core.encrypted_columns._BATCH_BYTES", max(sizes) * 2)
    read, after = [], None
    while rows := column("webhooks.Webhook.headers").batch(after, 10):
        read.append(len(rows))
        after = rows[-1].pk
    assert read == [2, 2]
    monkeypatch.setattr("core.encrypted_columns._BATCH_BYTES", 1)
    assert len(column("webhooks.Webhook.headers").batch(None, 10)) == 1


@pytest.mark.django_db
def test_a_table_keyed_by_text_is_rotated_too(settings: Any) -> None:
    now = "2026-01-01T00:00:00Z"
    for name in ("b", "a", "C"):
        CachedAnswer.objects.create(
            key=name, integration_id=uuid.uuid4(), status_code=200, stored_at=now, expires_at=now, body=f"body {name}"
        )
    settings.FERNET_KEYS = [NEW, OLD]
    assert key_rotation.rotate(column("core.CachedAnswer.body"), batch=1).changed == 3
    settings.FERNET_KEYS = [NEW]
    assert dict(CachedAnswer.objects.values_list("key", "body")) == {"a": "body a", "b": "body b", "C": "body C"}


@pytest.mark.django_db
@pytest.mark.parametrize("stored", [b"", b":", b"never encrypted", f"{key_id(OTHER)}:gAAAA".encode(), f"{key_id(OLD)}:damaged".encode()])
def test_what_cannot_be_read_is_named_and_left_as_it_is(settings: Any, stored: bytes) -> None:
    bad, _good = hooks(2)
    put(bad, stored)
    settings.FERNET_KEYS = [NEW, OLD]
    done = key_rotation.rotate(column("webhooks.Webhook.headers"))
    assert (done.changed, done.left, len(done.unreadable)) == (1, 0, 1)
    assert raw(bad) == stored
    found = key_rotation.verify(column("webhooks.Webhook.headers"))
    assert found.counts.total() == 2
    (unreadable,) = found.unreadable
    assert unreadable.pk.replace("-", "") == bad.pk.hex
    assert str(unreadable).startswith("webhooks.Webhook.headers of ")


@pytest.mark.django_db
def test_a_value_that_is_no_json_is_found_by_verifying() -> None:
    (hook,) = hooks(1)
    put(hook, EncryptedTextField.encrypt("{"))
    assert len(key_rotation.verify(column("webhooks.Webhook.headers")).unreadable) == 1


@pytest.mark.django_db
def test_no_value_is_in_a_repr() -> None:
    hooks(1)
    (row,) = column("webhooks.Webhook.headers").batch(None, 1)
    assert "gAAAA" not in repr(Replacement(row, row.value))


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("postgresql" not in django_settings.DATABASES["default"]["ENGINE"], reason="SQLite locks no rows")
def test_a_row_that_somebody_holds_is_not_waited_for(settings: Any) -> None:
    held, free = (IdempotencyKey.objects.create(fingerprint=str(n), body_hash="", answer="a") for n in range(2))
    settings.FERNET_KEYS = [NEW, OLD]
    holding = (
        "from django.db import transaction\nfrom core.models import IdempotencyKey\n"
        "with transaction.atomic():\n"
        f"    IdempotencyKey.objects.only('pk').select_for_update().get(pk='{held.pk}')\n"
        "    print('held', flush=True)\n    sys.stdin.readline()\n"
    )
    with python(holding) as process:
        assert line_of(process) == "held"
        done = key_rotation.rotate(column("core.IdempotencyKey.answer"))
        assert (done.changed, done.left) == (1, 1)
        say(process, "go")
        process.wait(10)
    assert key_rotation.rotate(column("core.IdempotencyKey.answer")).changed == 1
    assert free.pk != held.pk
