"""The gallery of templates: who sees what, the preview, and making it all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from core.http.client import Door
from core.http.door import CallFailed
from integrations.models import Endpoint, Integration
from templates_app.builtin import documents, ensure_builtins
from templates_app.models import IntegrationTemplate
from tests.factories import owner_of
from tests.templates_app.kit import SECRET, make_template
from webhooks.models import Webhook

pytestmark = pytest.mark.once

HTMX = {"HX-Request": "true"}


@pytest.fixture
def integrator(alice: User, log_in: Callable[[User], Client]) -> Client:
    return log_in(alice)


def _url(page: str, template: IntegrationTemplate | None = None) -> str:
    return reverse(f"admin:templates_app_integrationtemplate_{page}", args=[template.pk] if template else [])


def _values(**changes: str) -> dict[str, str]:
    return {"name": "Ours", "owner": "user:alice", "v_base_url": "https://api.example.com/v1", "v_token": SECRET} | changes


def test_the_gallery_shows_built_in_public_and_own_templates_as_cards(integrator: Client, alice: User, charlie: User) -> None:
    ensure_builtins()
    make_template(name="Mine", owner_id=owner_of(alice).id)
    make_template(name="Shared by charlie", owner_id=owner_of(charlie).id, is_public=True)
    make_template(name="Charlie's alone", owner_id=owner_of(charlie).id)
    text = integrator.get(_url("changelist")).content.decode()
    for document in documents().values():
        assert document["name"] in text
    assert "Mine" in text
    assert "Shared by charlie" in text
    assert "alone" not in text
    assert text.count("Use this template") == len(documents()) + 2


def test_an_auditor_looks_and_is_offered_nothing_to_press(auditor: User, log_in: Callable[[User], Client]) -> None:
    ensure_builtins()
    client, template = log_in(auditor), IntegrationTemplate.objects.get(key="graphql-api")
    assert "Use this template" not in client.get(_url("changelist")).content.decode()
    assert client.get(_url("change", template)).status_code == 200
    assert client.get(_url("use", template)).status_code == 403
    assert client.get(_url("export", template)).json()["template"]["key"] == "graphql-api"


def test_a_stranger_finds_no_private_template(charlie: User, alice: User, log_in: Callable[[User], Client]) -> None:
    template = make_template(owner_id=owner_of(alice).id)
    client = log_in(charlie)
    assert [client.get(_url(page, template)).status_code for page in ("use", "export")] == [404, 404]


def test_built_in_ones_can_be_looked_at_and_not_changed(browser: Client) -> None:
    ensure_builtins()
    template = IntegrationTemplate.objects.get(key="graphql-api")
    text = browser.get(_url("change", template)).content.decode()
    assert 'name="config"' not in text
    assert "Export as JSON" in text
    assert browser.post(_url("delete", template), {"post": "yes"}).status_code == 403


def test_the_form_asks_for_what_the_template_says(integrator: Client) -> None:
    ensure_builtins()
    for template in IntegrationTemplate.objects.all():
        text = integrator.get(_url("use", template)).content.decode()
        for name, schema in template.config["schema"]["properties"].items():
            assert f'name="v_{name}"' in text, (template.key, name)
            assert schema["title"].split("(")[0].strip() in text
        if template.key == "email-smtp":  # the connector's words for a choice
            assert '<option value="starttls" selected>STARTTLS (port 587)</option>' in text


def test_a_template_of_a_connector_that_is_not_there_says_so(integrator: Client) -> None:
    template = make_template(is_public=True)
    IntegrationTemplate.objects.update(type="of_a_newer_release")
    answer = integrator.get(reverse("admin:templates_app_integrationtemplate_use", args=[template.pk]), follow=True)
    text = answer.content.decode()
    assert "This release has no connector of_a_newer_release" in text
    for page in (text, integrator.get(_url("change", template)).content.decode()):
        assert template.name in page
        assert "Use this template" not in page


def test_the_preview_shows_all_of_it_and_makes_nothing(integrator: Client) -> None:
    template = make_template(is_public=True)
    answer = integrator.post(_url("use", template), _values(step="preview"), headers=HTMX)
    text = answer.content.decode()
    for expected in (
        "Ours",
        "user:alice",
        "https://api.example.com/v1",
        "secret, stored encrypted",
        "status",
        "finding.*",
        "Own",
        "Create",
    ):
        assert expected in text
    assert SECRET not in text
    assert "<html" not in text
    assert not Integration.objects.exists()


def test_the_preview_says_what_is_wrong_by_its_title(integrator: Client) -> None:
    ensure_builtins()
    template = IntegrationTemplate.objects.get(key="rest-bearer-token")
    text = integrator.post(_url("use", template), {"name": "", "owner": "user:alice"}, headers=HTMX).content.decode()
    assert "Name: This field is required." in text
    text = integrator.post(_url("use", template), _values(v_token=""), headers=HTMX).content.decode()
    assert "Token: is required." in text
    assert "Create" not in text


def test_no_test_is_offered_where_the_connector_has_none(integrator: Client) -> None:
    ensure_builtins()
    offered = {
        key: "Test connection" in integrator.get(_url("use", IntegrationTemplate.objects.get(key=key))).content.decode()
        for key in ("slack-channel", "teams-channel")
    }
    assert offered == {"slack-channel": True, "teams-channel": False}


def test_a_failed_test_is_said_and_leaves_the_choice(integrator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Door, *args: object, **options: object) -> None:
        raise CallFailed("Nothing listens there.", code="connect")

    monkeypatch.setattr(Door, "request", refuse)
    text = integrator.post(_url("use", make_template(is_public=True)), _values(step="test"), headers=HTMX).content.decode()
    assert "Nothing listens there." in text
    assert "Create it all the same" in text
    assert not Integration.objects.exists()


def test_everything_is_made_at_once_and_the_secrets_are_shown_once(integrator: Client, alice: User) -> None:
    template = make_template(is_public=True)
    text = integrator.post(_url("use", template), _values()).content.decode()
    row = Integration.objects.get()
    assert (row.name, row.owner_id, row.credentials) == ("Ours", owner_of(alice).id, {"token": SECRET})
    assert (Endpoint.objects.count(), Webhook.objects.count()) == (1, 2)
    assert text.count('value="whsec_') == 2
    assert f'data-made="{reverse("admin:integrations_integration_change", args=[row.pk])}"' in text, "where reloading leads"
    assert SECRET not in text


def test_an_address_that_is_not_slacks_is_said_once(integrator: Client) -> None:
    ensure_builtins()
    template = IntegrationTemplate.objects.get(key="slack-channel")
    values = {"name": "Ours", "owner": "user:alice", "v_webhook_url": "https://example.com/x", "v_events": "gate.failed"}
    text = integrator.post(_url("use", template), values, headers=HTMX).content.decode()
    assert "Webhook URL: leads to example.com, which is not Slack" in text
    assert "webhooks.0" not in text


def test_an_entry_of_a_list_is_counted_as_people_count(integrator: Client) -> None:
    ensure_builtins()
    template = IntegrationTemplate.objects.get(key="email-smtp")
    values = {"name": "Ours", "owner": "user:alice", "v_host": "smtp.example.com", "v_security": "starttls"}
    values |= {"v_from_address": "a@example.com", "v_to": "b@example.com\nc@example.com, d@example.com", "v_events": "gate.*"}
    text = integrator.post(_url("use", template), values, headers=HTMX).content.decode()
    assert "To: entry 2: does not have the expected form" in text


def test_no_secret_is_shown_where_the_platform_verifies_none(integrator: Client) -> None:
    ensure_builtins()
    values = {"name": "Ours", "owner": "user:alice", "v_base_url": "https://ci.example.com", "v_username": "ci", "v_api_token": SECRET}
    template = IntegrationTemplate.objects.get(key="jenkins-build")
    shown = integrator.post(_url("use", template), values | {"v_job": "react"}, headers=HTMX).content.decode()
    assert "How builds are begun: One job, with parameters, Job: react, Parameters: REPOGUARD_EVENT = {event_id}," in shown
    text = integrator.post(_url("use", template), values | {"v_job": "react"}).content.decode()
    assert "whsec_" not in text
    assert reverse("admin:webhooks_webhook_change", args=[Webhook.objects.get().pk]) in text


def test_what_cannot_be_made_is_said_and_leaves_nothing(integrator: Client) -> None:
    text = integrator.post(_url("use", make_template(is_public=True)), _values(v_base_url="ftp://x", name="Ours")).content.decode()
    assert "Nothing was made." in text or "rg-field-error" in text
    assert SECRET not in text
    assert not Integration.objects.exists()


def test_a_template_is_made_and_changed_by_form(integrator: Client, alice: User) -> None:
    config = '{"schema": {"properties": {}}, "integration": {"config": {"base_url": "https://api.example.com"}}}'
    values = {"name": "Ours", "type": "http", "description": "", "owner": "user:alice", "config": config, "endpoints": "", "webhooks": ""}
    assert integrator.post(_url("add"), values).status_code == 302
    template = IntegrationTemplate.objects.get()
    assert (template.owner_id, template.endpoints, template.is_public) == (owner_of(alice).id, [], False)
    assert integrator.post(_url("change", template), values | {"is_public": "on"}).status_code == 302
    template.refresh_from_db()
    assert (template.is_public, template.version) == (True, 2)
    refused = integrator.post(_url("change", template), values | {"config": config.replace("base_url", "nothing")})
    assert "config.integration.config.nothing" in refused.content.decode()
    assert "Not JSON" in integrator.post(_url("change", template), values | {"config": "{"}).content.decode()


def test_the_preview_says_valuesin_words() -> None:
    from webhooks.admin.made import in_words

    assert in_words(["200-299", 404], {}) == "200-299, 404"
    assert in_words("bearer", {"bearer": "Token (Bearer)"}) == "Token (Bearer)"
    assert in_words({"Accept": "text/plain"}, {}) == "Accept = text/plain"
    assert (in_words("other", {"bearer": "Token"}), in_words(5, {})) == ("other", "5")
