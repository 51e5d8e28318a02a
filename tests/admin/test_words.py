"""What pages say when there is little to say, and the words they say it with."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from access.admin_base.base import PortalAdmin
from core.models import RuntimeSettings
from integrations.models import HealthSample
from repoguard.admin.runtime_settings import RuntimeSettingsForm
from tests.admin.conftest import make_webhook
from tests.admin.test_pages import LISTS
from tests.factories import EventFactory

pytestmark = pytest.mark.once

WITH_A_SENTENCE = sorted(set(LISTS) - {"auth_user", "auth_group", "access_auditentry", "templates_app_integrationtemplate"})


def test_an_empty_list_says_what_fills_it(browser: Client) -> None:
    said = {}
    for name in WITH_A_SENTENCE:
        page = browser.get(reverse(f"admin:{name}_changelist")).content.decode()
        assert "yielded" not in page
        assert "matches these filters" not in page
        assert PortalAdmin.empty_text not in page, f"{name} has a sentence of its own"
        said[name] = page
    assert "Nobody is locked out." in said["axes_accessattempt"]
    assert "Press Recover deliveries on a webhook&#x27;s page." in said["webhooks_replay"]
    assert "0 health records" in " ".join(said["integrations_integrationhealth"].split())


def test_a_list_that_its_filters_empty_offers_to_reset_them(browser: Client) -> None:
    for name, query in (
        ("webhooks_webhook", "?q=nothing"),
        ("webhooks_webhookdelivery", "?status=failed"),
        ("access_auditentry", "?q=none"),
    ):
        page = browser.get(reverse(f"admin:{name}_changelist") + query).content.decode()
        assert "Nothing matches these filters." in page, name
        assert '<a class="rg-link" href="?">Reset the filters</a>' in page, name
        assert "Nothing here yet" not in page, name


@pytest.mark.parametrize("name", ["webhook", "integration", "repository", "template", "key"])
def test_a_page_shows_the_id_that_the_api_asks_for(browser: Client, things: SimpleNamespace, name: str) -> None:
    row = getattr(things, name)
    page = browser.get(reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])).content.decode()
    assert page.count("Its id, for the API") == 1
    assert f'value="{row.pk}" onfocus' in page
    assert 'data-copy="rg-id"' in page


def heading(page: str) -> list[str]:
    """Return the way to a page as its heading gives it."""
    return [unescape(title) for title in re.findall(r'leading-5 min-w-0 truncate tracking-tight">([^<]*)<', page)]


def test_headings_use_the_words_of_the_side_bar_and_keep_names(browser: Client, things: SimpleNamespace, alice: User) -> None:
    hook = make_webhook(alice, "deploy bot")
    assert heading(browser.get(reverse("admin:webhooks_webhook_changelist")).content.decode()) == ["Webhooks"]
    assert heading(browser.get(reverse("admin:webhooks_webhook_change", args=[hook.pk])).content.decode()) == ["Webhooks", "deploy bot"]
    assert heading(browser.get(reverse("admin:core_event_changelist")).content.decode()) == ["Webhooks", "Events"]
    assert heading(browser.get(reverse("admin:axes_accessattempt_changelist")).content.decode()) == ["Access", "Lockouts"]
    assert heading(browser.get(reverse("admin:core_requestlog_changelist")).content.decode()) == ["Integrations", "Outbound calls"]


def test_a_role_keeps_its_name_and_can_not_be_deleted(browser: Client, team: Group) -> None:
    role = Group.objects.get(name="auditor")
    url, delete = (reverse(f"admin:auth_group_{page}", args=[role.pk]) for page in ("change", "delete"))
    page = browser.get(url).content.decode()
    assert 'name="name"' not in page
    assert delete not in page
    assert 'name="members"' in page
    assert browser.post(url, {"name": "other", "members": []}).status_code == 302
    assert browser.post(delete, {"post": "yes"}).status_code == 403
    assert Group.objects.filter(pk=role.pk, name="auditor").exists()
    page = browser.get(reverse("admin:auth_group_change", args=[team.pk])).content.decode()
    assert 'name="name"' in page
    assert reverse("admin:auth_group_delete", args=[team.pk]) in page


def test_settings_are_labelled_in_words(browser: Client, auditor: User, log_in: Callable[[User], Client]) -> None:
    url = reverse("admin:core_runtimesettings_change", args=[1])
    for client in (browser, log_in(auditor)):
        page = client.get(url).content.decode()
        assert "Checks of critical integrations, every (minutes)" in page
        for field in RuntimeSettings._meta.fields[1:]:
            raw = str(field.verbose_name).capitalize()
            assert RuntimeSettingsForm.Meta.labels[field.name] in page, field.name
            assert raw not in page or RuntimeSettingsForm.Meta.labels[field.name] == raw, field.name


def test_one_is_not_called_many_and_a_filter_holds_back(browser: Client, things: SimpleNamespace) -> None:
    HealthSample.objects.filter(integration=things.health.integration).first().delete()  # type: ignore[union-attr]
    page = browser.get(reverse("admin:integrations_integrationhealth_change", args=[things.health.pk])).content.decode()
    assert "The latest check</h2>" in page
    page = browser.get(reverse("admin:core_event_change", args=[EventFactory().pk])).content.decode()
    assert "its filter held it back" in page
