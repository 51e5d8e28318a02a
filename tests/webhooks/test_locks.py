"""Who changes a webhook waits for nobody who publishes to it: only PostgreSQL locks row by row."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, close_old_connections, connection, transaction

from integrations.services.repositories import update_repository
from tests.factories import RepositoryFactory, WebhookFactory
from webhooks.models import Webhook, WebhookDelivery, WebhookRepository
from webhooks.services import update_webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def _together(*changes: Callable[[], Any]) -> list[BaseException | None]:
    """Run each change in a transaction of its own; all are made before the first commits. Return what each raised."""
    made = threading.Barrier(len(changes))
    raised: list[BaseException | None] = [None] * len(changes)

    def run(place: int, change: Callable[[], Any]) -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '5s'")
                change()
                made.wait(20)
        except (OperationalError, threading.BrokenBarrierError) as error:
            made.abort()
            raised[place] = error
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=run, args=(place, change)) for place, change in enumerate(changes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_two_webhooks_that_watch_each_other_are_changed_at_once() -> None:
    first, second = (WebhookFactory(events=["webhook.updated"]) for _ in range(2))
    raised = _together(lambda: update_webhook(first, {"concurrency": 3}), lambda: update_webhook(second, {"concurrency": 4}))
    assert raised == [None, None]
    assert set(Webhook.objects.values_list("concurrency", flat=True)) == {3, 4}
    assert WebhookDelivery.objects.count() == 2


def test_a_repository_is_changed_while_a_webhook_is_limited_to_it() -> None:
    shop, hook = RepositoryFactory(), WebhookFactory()

    def limit() -> None:
        WebhookRepository.objects.create(webhook=hook, repository=shop)
        with connection.cursor() as cursor:  # the check takes the lock, else only at the commit
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    raised = _together(limit, lambda: update_repository(shop, {"default_branch": "trunk"}))
    assert raised == [None, None]
