from __future__ import annotations

import json

import pytest
from django.db import connection

from access.models import AuditEntry
from core.errors import Conflict, InvalidInput
from core.http.client import Door
from core.http.door import CallFailed, Reply
from core.models import Event
from integrations.models import Endpoint, HealthSample, Integration, IntegrationHealth
from templates_app.asked import required
from templates_app.blueprint import trial_values
from templates_app.builtin import documents, ensure_builtins
from templates_app.models import IntegrationTemplate
from tests.access.keys import client_of, client_with, make_key
from tests.factories import owner_of
from tests.templates_app.kit import SECRET, VALUES, changed, make_template, values_of
from webhooks.models import Webhook
from webhooks.services import templates
from webhooks.services.templates import instantiate

pytestmark = pytest.mark.django_db
MODELS = (Integration, IntegrationHealth, Endpoint, Webhook, Event, AuditEntry, HealthSample)


def _counts() -> list[int]:
    return [model.objects.count() for model in MODELS]


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, str, bool]]:
    """Answer every outbound call with 200, and keep them: (method, URL, whether a transaction was open)."""
    made: list[tuple[str, str, bool]] = []

    def request(self, method, url, **options):
        made.append((method, url, connection.in_atomic_block))
        return Reply(200, {"Content-Type": "application/json"}, b"{}", url)

    monkeypatch.setattr(Door, "request", request)
    return made


# --- The service ------------------------------------------------------------------------------------------------------


def test_it_makes_all_that_the_template_says(alice):
    template, owner_id = make_template(), owner_of(alice).id
    made = instantiate(template, "Ours", VALUES | {"target": 99.5}, owner_id)
    row = Integration.objects.get()
    assert (row.name, row.type, row.owner_id, row.sla_availability) == ("Ours", "http", owner_id, 99.5)
    assert row.config["base_url"] == VALUES["base_url"]
    assert row.credentials == {"token": SECRET}
    assert row.metadata == {"template": "Tickets", "template_version": 1}
    assert [(endpoint.name, endpoint.path) for endpoint in row.endpoints.all()] == [("status", "/health")]
    through, own = Webhook.objects.order_by("id")
    assert (through.integration_id, through.url, through.events) == (row.id, "", ["finding.*"])
    assert through.destination["path"] == "/in/health"
    assert (own.integration_id, own.url) == (None, "https://receiver.example.com/important")
    assert own.headers == {"X-Token": f"T {SECRET}"}
    assert {webhook.owner_id for webhook in (through, own)} == {owner_id}
    assert set(made.secrets) == {through.id, own.id}


def test_a_dry_run_shows_the_same_and_leaves_nothing(alice):
    template = make_template()
    before = _counts()
    made = instantiate(template, "Ours", VALUES, owner_of(alice).id, dry_run=True)
    assert (made.integration.name, len(made.endpoints), len(made.webhooks)) == ("Ours", 1, 2)
    assert _counts() == before


def test_every_error_is_told_at_once_and_by_the_value_that_caused_it():
    template = make_template()
    before = _counts()
    with pytest.raises(InvalidInput) as caught:
        instantiate(template, "", VALUES | {"base_url": "http://10.0.0.1/", "path": "no slash", "events": ["no.such"]}, None)
    fields = caught.value.fields
    assert {"name", "values.base_url"} <= set(fields)
    assert any("events" in name for name in fields) or "webhooks.0" in fields
    assert _counts() == before


@pytest.mark.parametrize("failing", ["create_endpoint", "create_webhook"])
@pytest.mark.parametrize("error", [Conflict("taken"), RuntimeError("a defect")])
def test_any_failure_leaves_nothing(monkeypatch, failing, error):
    template = make_template()
    before = _counts()

    def fail(*args, **values):
        raise error

    monkeypatch.setattr(templates, failing, fail)
    with pytest.raises((InvalidInput, RuntimeError)):
        instantiate(template, "Ours", VALUES, None)
    assert _counts() == before


def test_the_last_webhook_that_fails_takes_everything_back():
    whole = changed("webhooks.1.url", "{{ base_url }}")
    whole["webhooks"][1]["headers"] = {}
    template = make_template(**whole)
    IntegrationTemplate.objects.filter(pk=template.pk).update(
        webhooks=[*template.webhooks, {"name": "bad", "url": "ftp://x", "events": ["*"]}]
    )
    template.refresh_from_db()
    before = _counts()
    with pytest.raises(InvalidInput) as caught:
        instantiate(template, "Ours", VALUES, None)
    assert "webhooks.2.url" in caught.value.fields
    assert _counts() == before


def test_a_value_goes_nowhere_but_to_its_place():
    template = make_template()
    with pytest.raises(InvalidInput):
        instantiate(template, "Ours", VALUES | {"path": '/x", "auth": "none'}, None)
    with pytest.raises(InvalidInput):
        instantiate(template, "Ours", VALUES | {"path": "/{{ token }}"}, None)


@pytest.mark.parametrize("key", sorted(documents()))
def test_each_built_in_template_can_be_used(key):
    ensure_builtins()
    template = IntegrationTemplate.objects.get(key=key)
    made = instantiate(template, "Mine", _values_for(template), None)
    assert Integration.objects.get() == made.integration
    assert len(made.endpoints) == len(template.endpoints)
    assert len(made.webhooks) == len(template.webhooks)


def _values_for(template: IntegrationTemplate) -> dict:
    given = trial_values(template)
    return {name: given[name] for name in required(template.config)}


# --- The API ----------------------------------------------------------------------------------------------------------


def _post(client, template, **changes):
    body = {"name": "Ours", "values": VALUES} | changes
    return client.post(f"/api/v1/integration-templates/{template.pk}/instantiate", body, format="json")


def test_secrets_of_webhooks_are_answered_once_and_credentials_never(alice):
    answer = _post(client_of(alice), make_template(is_public=True))
    assert answer.status_code == 201
    body = answer.json()
    assert all(webhook["secret"].startswith("whsec_") for webhook in body["webhooks"])
    assert SECRET not in answer.content.decode()
    assert body["integration"]["credentials"] == {"token": {"set": True}}
    assert Integration.objects.get().owner_id == owner_of(alice).id
    assert SECRET not in json.dumps(list(AuditEntry.objects.values_list("changes", flat=True)))


def test_a_dry_run_answers_what_would_be_made_without_ids_and_secrets(alice):
    answer = _post(client_of(alice), make_template(is_public=True), dry_run=True)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["dry_run"], body["test"], "id" in body["integration"]) == (True, None, False)
    assert [set(webhook) & {"id", "secret"} for webhook in body["webhooks"]] == [set(), set()]
    assert body["webhooks"][1]["headers"] == {"X-Token": "********"}
    assert not Integration.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_test_calls_out_with_no_transaction_open(alice, calls):
    answer = _post(client_of(alice), make_template(is_public=True), test=True)
    assert answer.status_code == 201, answer.content
    assert answer.json()["test"]["ok"] is True
    assert calls == [("GET", "https://api.example.com/v1/health", False)]
    assert not HealthSample.objects.exists()


def test_a_failed_test_makes_nothing(alice, monkeypatch):
    def refuse(self, method, url, **options):
        raise CallFailed("Nothing listens there.", code="connect")

    monkeypatch.setattr(Door, "request", refuse)
    template, client = make_template(is_public=True), client_of(alice)
    dry = _post(client, template, test=True, dry_run=True)
    assert (dry.status_code, dry.json()["test"]["ok"]) == (200, False)
    answer = _post(client, template, test=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "test_failed")
    assert "Nothing listens there." in answer.json()["message"]
    assert not Integration.objects.exists()


def test_an_idempotency_key_makes_it_once_and_goes_with_no_test(alice):
    template, client = make_template(is_public=True), client_of(alice)
    url, body = f"/api/v1/integration-templates/{template.pk}/instantiate", {"name": "Ours", "values": VALUES}
    answers = [client.post(url, body, format="json", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert Integration.objects.count() == 1
    refused = client.post(url, body | {"test": True}, format="json", headers={"Idempotency-Key": "l"})
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["test"])


def test_webhooks_need_their_own_scope(alice):
    template = make_template(is_public=True)
    answer = _post(client_of(alice, "integrations:write"), template)
    assert (answer.status_code, "webhooks:write" in answer.json()["message"]) == (403, True)
    assert _post(client_of(alice, "integrations:write", "webhooks:write"), template).status_code == 201
    without = make_template(is_public=True, webhooks=[])
    assert _post(client_of(alice, "integrations:write"), without).status_code == 201


def test_private_templates_are_for_their_owner_and_public_ones_for_all(alice, bob, charlie):
    private, public = make_template(owner_id=owner_of(alice).id), make_template(name="P", is_public=True, owner_id=owner_of(alice).id)
    url = "/api/v1/integration-templates"
    seen = {row["id"] for row in client_of(charlie).get(url).json()["results"]}
    assert seen == {str(public.pk)}
    assert _post(client_of(charlie), private).status_code == 404
    assert _post(client_of(charlie), public).status_code == 201
    assert Integration.objects.get().owner_id == owner_of(charlie).id
    for method in ("patch", "delete"):
        answer = getattr(client_of(charlie), method)(f"{url}/{public.pk}", {} if method == "patch" else None, format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert client_of(charlie).get(f"{url}/{public.pk}/export").status_code == 200
    assert _post(client_of(charlie), public, owner="user:alice").status_code == 400


def test_templates_are_created_changed_copied_and_deleted_by_api(alice):
    client, url = client_of(alice), "/api/v1/integration-templates"
    created = client.post(url, values_of(), format="json")
    assert created.status_code == 201, created.content
    row = created.json()
    assert (row["owner"], row["built_in"], row["version"], row["key"]) == ("user:alice", False, 1, None)
    changed_row = client.patch(f"{url}/{row['id']}", {"is_public": True}, format="json").json()
    assert (changed_row["version"], changed_row["is_public"]) == (2, True)
    document = client.get(f"{url}/{row['id']}/export").json()
    assert client.post(f"{url}/import", document, format="json").status_code == 200
    key = make_key(None)[1]
    assert client_with(key).post(f"{url}/import", document, format="json").status_code == 201
    assert client.put(f"{url}/{row['id']}", row, format="json").status_code == 200
    assert client.delete(f"{url}/{row['id']}").status_code == 204


def test_built_in_templates_are_only_read(admin):
    ensure_builtins()
    template = IntegrationTemplate.objects.filter(key__isnull=False).first()
    answer = client_of(admin).patch(f"/api/v1/integration-templates/{template.pk}", {"name": "x"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "built_in")
    listed = client_of(admin).get("/api/v1/integration-templates?built_in=true").json()["results"]
    assert len(listed) == len(documents())
    assert client_of(admin).get("/api/v1/integration-templates?built_in=false").json()["results"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x", "values": []},
        {"name": "x", "values": {"nothing": 1}},
        {"name": 5},
        {"name": "x", "other": 1},
        {"name": "x\0", "values": VALUES},
    ],
)
def test_bad_input_is_a_400(alice, body):
    template = make_template(is_public=True)
    answer = client_of(alice).post(f"/api/v1/integration-templates/{template.pk}/instantiate", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["fields"]
