"""Importing from GitHub in the admin: the form, and the page that follows the import."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from builds.models import BuildImport
from integrations.models import Integration
from tests.admin.conftest import EVIL
from tests.factories import owner_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ADD, LIST = "admin:builds_buildimport_github", "admin:builds_buildimport_changelist"
CSV = "admin:builds_buildimport_add"


@pytest.fixture
def client(alice: User, log_in: Callable[[User], Client]) -> Client:
    return log_in(alice)


@pytest.fixture
def integration(alice: User) -> Integration:
    values: dict[str, Any] = {
        "config": {"api_url": "https://api.github.com/", "auth": "token"},
        "credentials": {"token": "github_pat_0a1b"},
    }
    return Integration.objects.create(name="GitHub of blue", type="github", category="development", owner=owner_of(alice), **values)


def made(user: User | None, **values: Any) -> BuildImport:
    given = {"kind": "github", "project": "acme/shop", "until": timezone.now(), "started_by": "user alice"}
    return BuildImport.objects.create(owner=owner_of(user) if user else None, **given | values)


def page(client: Client, name: str, row: BuildImport) -> str:
    return client.get(reverse(f"admin:builds_buildimport_{name}", args=[row.pk])).content.decode()


def test_it_is_started_and_followed(client: Client, integration: Integration) -> None:
    form = client.get(reverse(ADD)).content.decode()
    assert f'<option value="{integration.id}" selected>GitHub of blue</option>' in form
    values = {"project": "acme/shop", "integration": str(integration.id), "branch": "main", "since": "2026-01-01T00:00"}
    answer = client.post(reverse(ADD), values)
    row = BuildImport.objects.get()
    assert answer["Location"] == reverse("admin:builds_buildimport_change", args=[row.pk])
    assert (row.project, row.integration_id, row.branch, row.workflow) == ("acme/shop", integration.id, "main", "")
    followed = client.get(answer["Location"]).content.decode()
    assert f'hx-get="{reverse("admin:builds_buildimport_live", args=[row.pk])}"' in followed
    assert "GitHub of blue" in followed
    assert "github_pat_0a1b" not in form + followed


def test_without_an_integration_too(client: Client) -> None:
    client.post(reverse(ADD), {"project": "https://github.com/acme/shop"})
    assert BuildImport.objects.get().integration_id is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"project": "shop"}, "Must be owner/name, as in the repository"),
        ({"project": ""}, "This field is required."),
        ({"project": "acme/shop", "since": "2999-01-01T00:00"}, "Must lie in the past"),
        ({"project": "acme/shop", "integration": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_is_shown_beside_its_field(client: Client, values: dict[str, str], sentence: str) -> None:
    shown = client.post(reverse(ADD), values).content.decode()
    assert "rg-field-error" in shown
    assert sentence in shown
    assert not BuildImport.objects.exists()


def test_a_second_one_is_refused_in_words(client: Client) -> None:
    for _ in range(2):
        shown = client.post(reverse(ADD), {"project": "acme/shop"}).content.decode()
    assert "An import of acme/shop is going on already." in shown


def test_progress_is_shown_live(client: Client, alice: User) -> None:
    row = made(alice, total=1000, seen=400, created=410, updated=3, progress={"steps": [[0, 0], [100, 400]]})
    live = page(client, "live", row)
    assert "40 %" in live
    assert "about 2 min" in live
    assert "410" in live
    assert "every 2s" in live


def test_a_wait_says_until_when(client: Client, alice: User) -> None:
    row = made(
        alice, status="waiting", error="Waits until 14:05 UTC, and goes on by itself.", run_after=timezone.now() + timedelta(hours=1)
    )
    live = page(client, "live", row)
    assert "Waits until 14:05 UTC" in live
    assert "every 2s" in live


def test_one_that_ended_is_not_asked_for_again(client: Client, alice: User) -> None:
    assert "every 2s" not in page(client, "change", made(alice, status="done", state="done"))


def test_its_buttons_cancel_and_go_on(client: Client, alice: User) -> None:
    row = made(alice, status="failed", state="failed", error="GitHub knows no repository.")
    assert "do/resume/" in page(client, "change", row)
    for button, status in (("resume", "running"), ("cancel", "cancelled")):
        client.post(reverse("admin:builds_buildimport_do", args=[row.pk, button]))
        row.refresh_from_db()
        assert row.status == status
    assert "/do/" not in page(client, "change", row)


def test_nothing_that_came_from_outside_is_markup(client: Client, alice: User) -> None:
    problems = [{"line": EVIL, "field": EVIL, "reason": EVIL}]
    row = made(alice, project=EVIL, branch=EVIL, workflow=EVIL, error=EVIL, problems=problems, rejected=1)
    assert EVIL not in page(client, "change", row) + client.get(reverse(LIST)).content.decode()


def test_others_see_neither_it_nor_a_button_that_fails(alice: User, charlie: User, auditor: User, log_in: Callable[[User], Client]) -> None:
    row = made(alice)
    stranger, reader = log_in(charlie), log_in(auditor)
    assert stranger.get(reverse("admin:builds_buildimport_live", args=[row.pk])).status_code == 404
    assert "acme/shop" not in stranger.get(reverse(LIST)).content.decode()
    assert "acme/shop" in page(reader, "change", row)
    assert "/do/" not in page(reader, "change", row)
    assert reader.get(reverse(ADD)).status_code == 403
    assert reverse(CSV) not in reader.get(reverse(LIST)).content.decode()
    assert reverse(ADD) in stranger.get(reverse(CSV)).content.decode()
    assert reverse(CSV) in stranger.get(reverse(ADD)).content.decode()
