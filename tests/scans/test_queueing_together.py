"""Many who ask for the same at the same moment queue one scan: PostgreSQL only."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from integrations.models import Repository
from scans.models import Scan
from scans.services.queueing import Queued, Wanted, queue_scans
from tests.scans.source_kit import install, integration

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def test_those_who_ask_at_once_get_one_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    by = integration()
    shops = [Repository.objects.create(provider="github", full_name=f"acme/{number}") for number in range(3)]
    found: list[Queued] = []
    errors: list[BaseException] = []
    together = threading.Barrier(6)

    def ask(number: int) -> None:
        try:
            wanted = [Wanted(by.id, shop.id, "main", f"{number:07x}") for shop in (shops if number % 2 else reversed(shops))]
            together.wait(10)
            with transaction.atomic():
                found.extend(queue_scans(wanted).values())
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert Scan.objects.count() == len({one.scan.pk for one in found}) == 3
    assert sorted(one.reused for one in found) == [""] * 3 + ["queued"] * 15


def test_who_finds_that_it_just_began_queues_another(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    by, shop = integration(), Repository.objects.create(provider="github", full_name="acme/shop")
    wanted = Wanted(by.id, shop.id, "main", "a" * 40)
    queue_scans([wanted])
    found: list[Any] = []

    def ask() -> None:
        found.extend(queue_scans([Wanted(by.id, shop.id, "main", "b" * 40)]).values())
        connection.close()

    with transaction.atomic():  # its worker begins, and is not done with that
        Scan.objects.select_for_update().get()
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(0.5)
        Scan.objects.update(started_at="2026-11-20T12:00:00Z")
    thread.join(30)
    assert [one.reused for one in found] == [""]
    assert sorted(Scan.objects.values_list("commit", flat=True)) == ["a" * 40, "b" * 40]
