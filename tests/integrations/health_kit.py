"""What the tests of health start from: a connector whose checks do as they are told, and integrations that use it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from core import runtime
from core.ids import first_id_at
from integrations import registry
from integrations.choices import Category, HealthState
from integrations.contract.connector import Checker, CheckResult
from integrations.models import HealthSample, Integration, IntegrationHealth


class StubChecker(Checker):
    """Does what `StubChecker.answer` says, and counts."""

    key = "stub"
    title = "Stub"
    description = "For tests."
    categories = (Category.MONITORING,)
    answer: Callable[[StubChecker], CheckResult | None] = staticmethod(lambda connector: None)
    asked: list[uuid.UUID] = []
    lock = threading.Lock()

    def check(self) -> CheckResult:
        with StubChecker.lock:
            StubChecker.asked.append(self.context.integration_id)
        return StubChecker.answer(self) or CheckResult("It answers.")


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StubChecker]]:
    monkeypatch.setattr(registry, "CONNECTORS", (*registry.CONNECTORS, StubChecker))
    monkeypatch.setitem(registry._BY_KEY, "stub", StubChecker)
    monkeypatch.setattr(StubChecker, "answer", staticmethod(lambda connector: None))
    monkeypatch.setattr(StubChecker, "asked", [])
    runtime.forget()
    yield StubChecker
    runtime.forget()


def answers(monkeypatch: pytest.MonkeyPatch, answer: Callable[[StubChecker], CheckResult | None]) -> None:
    monkeypatch.setattr(StubChecker, "answer", staticmethod(answer))


def raising(error: Exception) -> Callable[[StubChecker], CheckResult | None]:
    def answer(connector: StubChecker) -> CheckResult | None:
        raise error

    return answer


def make_integration(name: str = "Stub", **values: Any) -> Integration:
    """Create an integration of the stub with its health row, due now."""
    row = Integration.objects.create(**{"name": name, "type": "stub", "category": "monitoring"} | values)
    IntegrationHealth.objects.create(integration=row, next_check_at=timezone.now() - timedelta(seconds=1))
    return row


def health_of(row: Integration) -> IntegrationHealth:
    return IntegrationHealth.objects.get(pk=row.pk)


def state_of(row: Integration) -> HealthState:
    return HealthState(health_of(row).state)


def make_due() -> None:
    IntegrationHealth.objects.update(next_check_at=timezone.now() - timedelta(seconds=1))


def sample_at(row: Integration, at: datetime, ok: bool | None = True, ms: float | None = 100.0, trigger: str = "schedule") -> HealthSample:
    key = uuid.UUID(int=first_id_at(at).int + uuid.uuid4().int % (1 << 60))
    return HealthSample.objects.create(id=key, integration=row, checked_at=at, ok=ok, response_ms=ms, trigger=trigger)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)
