"""Who deletes an integration waits for checks and sign-ins, and they for it, but never both for each other: PostgreSQL only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from core.errors import RepoGuardError
from integrations.choices import GrantStatus
from integrations.health import record
from integrations.models import Integration, IntegrationHealth, OAuthGrant, OAuthRequest
from integrations.oauth import connect, grants
from integrations.services.integrations import delete_integration
from tests.core.portal import wait_for
from tests.integrations.services_kit import make_integration

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


class Apart:
    """Runs something in a thread with a connection of its own, and keeps what it raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except RepoGuardError:
            pass  # refused in words: what the other did came first
        except BaseException as error:
            self.error = error
        finally:
            connection.close()

    def end(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert self.error is None


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return bool(cursor.fetchone()[0])


def held_at(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> tuple[threading.Event, threading.Event]:
    """Stop whoever comes to a function until the second event is set; the first says that somebody came."""
    real, came, go_on = getattr(place, name), threading.Event(), threading.Event()

    def slow(*given: Any, **more: Any) -> Any:
        came.set()
        assert go_on.wait(30)
        return real(*given, **more)

    monkeypatch.setattr(place, name, slow)
    return came, go_on


@pytest.fixture
def made() -> Integration:
    user = User.objects.create_user("zoe")
    integration = make_integration(user, "https://example.com/api")
    IntegrationHealth.objects.get_or_create(integration=integration)
    OAuthGrant.objects.create(integration=integration, status=GrantStatus.CONNECTED)
    OAuthRequest.objects.create(
        integration=integration,
        user=user,
        state_hash="x",
        code_verifier="v",
        redirect_uri="r",
        expires_at=timezone.now() + timedelta(minutes=5),
    )
    return integration


def test_a_check_that_is_recorded_meanwhile(made: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    came, go_on = held_at(monkeypatch, record, "_change")
    check = Apart(lambda: record.record_check(made, True, 12.0, "", "", "manual"))
    assert came.wait(30)
    deletion = Apart(lambda: delete_integration(made))
    wait_for(waits_for_a_lock, "the deletion to wait")
    go_on.set()
    check.end()
    deletion.end()
    assert not Integration.objects.exists()


def test_a_disconnect_meanwhile(made: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    came, go_on = held_at(monkeypatch, grants, "clear")
    disconnect = Apart(lambda: connect.disconnect(made))
    assert came.wait(30)
    deletion = Apart(lambda: delete_integration(made))
    wait_for(waits_for_a_lock, "the deletion to wait")
    go_on.set()
    disconnect.end()
    deletion.end()
    assert not Integration.objects.exists()
    assert not OAuthGrant.objects.exists()
