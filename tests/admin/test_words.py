"""What pages say when there is little to say, and the words they say it with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import Client
from django.urls import reverse

from access.admin_base.base import PortalAdmin
from tests.admin.test_pages import LISTS

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
