"""Recovering deliveries in the admin: form, preview, start, and the page that follows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.admin.conftest import make_delivery, make_webhook
from webhooks import services
from webhooks.models import Replay, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def mine(alice: User) -> Webhook:
    hook = make_webhook(alice)
    for _ in range(3):
        make_delivery(hook)
    return hook


@pytest.fixture
def client(alice: User, log_in: Callable[[User], Client]) -> Client:
    return log_in(alice)


def url(page: str, row: Any) -> str:
    return reverse(f"admin:webhooks_{page}", args=[row.pk])


def filled(**more: str) -> dict[str, Any]:
    since = (timezone.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    return {"since": since, "until": "", "statuses": ["failed"], "event_types": "", "rate_per_second": "2"} | more


def test_a_preview_says_how_many_and_how_long_and_starts_nothing(client: Client, mine: Webhook) -> None:
    assert "Start</button>" not in client.get(url("webhook_recover", mine)).content.decode()
    page = client.post(url("webhook_recover", mine), filled(preview="")).content.decode()
    assert "<strong>3 deliveries</strong>" in page
    assert "about 2 s at this rate" in page
    assert "Start</button>" in page
    assert not Replay.objects.exists()


def test_starting_leads_to_the_page_that_follows_it(client: Client, mine: Webhook) -> None:
    answer = client.post(url("webhook_recover", mine), filled(start=""))
    replay = Replay.objects.get()
    assert answer["Location"] == url("replay_change", replay)
    page = client.get(answer["Location"]).content.decode()
    assert "sent again, of 3 at the start" in page
    assert f'hx-get="{url("replay_live", replay)}"' in page
    assert replay.started_by == "user alice"


def test_what_failed_again_is_said_in_red(client: Client, mine: Webhook) -> None:
    replay = services.start_recovery(mine, {"since": timezone.now() - timedelta(hours=1)})
    newest = mine.deliveries.latest("id")
    Replay.objects.filter(pk=replay.pk).update(status="done", state="done", requeued=3, cursor=newest.id)
    mine.deliveries.update(trigger="replay", finished_at=timezone.now())
    page = client.get(url("replay_change", replay)).content.decode()
    assert "3 of them failed again." in page
    assert "done means sent again" in page
    assert url("replay_live", replay) not in page, "nothing changes any more"
    mine.deliveries.filter(id=newest.id).update(status="pending", finished_at=None)
    page = client.get(url("replay_change", replay)).content.decode()
    assert "2 of them failed again." in page
    assert url("replay_live", replay) in page, "one is still under way"


def test_the_form_says_where_its_range_begins_and_what_is_older(client: Client, mine: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    page = client.get(url("webhook_recover", mine)).content.decode()
    assert "filled in: yesterday at this time" in page
    assert "not included" not in page
    mine.state.failing_since = timezone.now() + timedelta(minutes=2)
    mine.state.save()
    page = client.get(url("webhook_recover", mine)).content.decode()
    assert "filled in: the beginning of the present outage" in page
    assert "3 older failed deliveries are not included" in page
    monkeypatch.setattr("webhooks.recovery.MOST_OLDER", 2)
    assert "More than 2 older failed deliveries are not included" in client.get(url("webhook_recover", mine)).content.decode()


def test_a_short_time_is_no_zero(client: Client, mine: Webhook) -> None:
    page = client.post(url("webhook_recover", mine), filled(preview="", rate_per_second="50")).content.decode()
    assert "Sending them takes less than a second at this rate." in page


def test_its_buttons_pause_resume_and_cancel(client: Client, mine: Webhook) -> None:
    replay = services.start_recovery(mine, {"since": timezone.now() - timedelta(hours=1)})
    for button, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert f"do/{button}/" in client.get(url("replay_live", replay)).content.decode()
        client.post(reverse("admin:webhooks_replay_do", args=[replay.pk, button]))
        replay.refresh_from_db()
        assert replay.status == status
    page = client.get(url("replay_change", replay)).content.decode()
    assert "/do/" not in page
    assert url("replay_live", replay) not in page


def test_wrong_values_are_shown_beside_their_fields(client: Client, mine: Webhook) -> None:
    page = client.post(url("webhook_recover", mine), filled(event_types="no.such", start="")).content.decode()
    assert "is not a known event type" in page
    page = client.post(url("webhook_recover", mine), filled(until="2001-01-01T00:00", start="")).content.decode()
    assert "Must lie in the past, and before until." in page
    assert client.post(url("webhook_recover", mine), {"since": "x", "rate_per_second": "9e9", "start": ""}).status_code == 200
    assert not Replay.objects.exists()


def test_nothing_to_send_says_what_to_change(client: Client, mine: Webhook) -> None:
    page = client.post(url("webhook_recover", mine), filled(event_types="scan.*", preview="")).content.decode()
    assert "No delivery matches." in page
    assert "Start</button>" not in page


def test_a_range_too_large_to_be_searched_says_at_least(client: Client, mine: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.recovery.MOST_COUNTED", 2)
    page = client.post(url("webhook_recover", mine), filled(preview="")).content.decode()
    assert "At least 2 deliveries" in page
    assert "Start</button>" in page
    page = client.post(url("webhook_recover", mine), filled(event_types="scan.*", preview="")).content.decode()
    assert "None of the oldest deliveries matches." in page
    assert "Start</button>" in page, "later ones may match"


def test_a_disabled_webhook_or_a_running_recovery_is_told_before(client: Client, mine: Webhook) -> None:
    services.start_recovery(mine, {"since": timezone.now() - timedelta(hours=1)})
    services.disable(mine)
    page = client.post(url("webhook_recover", mine), filled(preview="")).content.decode()
    assert "A recovery of this webhook is running or paused." in page
    assert "The webhook is disabled" in page
    assert "Start</button>" not in page
    assert "Enable it first" in client.post(url("webhook_recover", mine), filled(start="")).content.decode()


def test_only_who_may_change_the_webhook_finds_the_page(
    mine: Webhook, client: Client, auditor: User, charlie: User, log_in: Callable[[User], Client], things: SimpleNamespace
) -> None:
    assert url("webhook_recover", mine) in client.get(url("webhook_change", mine)).content.decode()
    looking = log_in(auditor)
    assert url("webhook_recover", mine) not in looking.get(url("webhook_change", mine)).content.decode()
    assert looking.get(url("webhook_recover", mine)).status_code == 403
    assert "/do/" not in looking.get(url("replay_change", things.replay)).content.decode()
    assert looking.post(reverse("admin:webhooks_replay_do", args=[things.replay.pk, "cancel"])).status_code == 403
    assert log_in(charlie).get(url("webhook_recover", mine)).status_code == 302
    assert log_in(charlie).get(url("replay_live", things.replay)).status_code == 404
