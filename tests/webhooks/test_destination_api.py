"""Webhooks that name an integration: by API, and what the services make of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import AuditEntry
from core.ids import uuid7
from integrations.models import Integration
from tests.access.keys import client_of
from tests.factories import owner_of, statements
from tests.webhooks.destination_kit import TOKEN, connectors, integration
from tests.webhooks.engine_kit import due
from webhooks import services
from webhooks.destinations.memory import RowMemory
from webhooks.models import DestinationMemory, FollowUp, Webhook, WebhookState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("connectors")]
__all__ = ["connectors"]
EVENTS = {"name": "hook", "events": ["custom.a"]}


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


@pytest.fixture
def mine(alice: User) -> Integration:
    return integration(owner=owner_of(alice))


def post(client: APIClient, **body: Any) -> Any:
    return client.post("/api/v1/webhooks", EVENTS | body, format="json")


def through(client: APIClient, to: Integration, **options: Any) -> dict[str, Any]:
    answer = post(client, integration=str(to.id), destination=options or {"path": "in"})
    assert answer.status_code == 201, answer.json()
    found: dict[str, Any] = answer.json()
    return found


def test_a_webhook_through_an_integration_needs_no_url(client: APIClient, mine: Integration) -> None:
    body = through(client, mine)
    assert (body["url"], body["integration"], body["destination"]) == ("", str(mine.id), {"path": "in", "method": "POST"})
    assert body["secret"].startswith("whsec_")
    assert client.get(f"/api/v1/webhooks/{body['id']}").json()["integration"] == str(mine.id)
    entry = AuditEntry.objects.get(object_type="webhook")
    assert entry.changes["integration"] == [None, str(mine.id)]
    assert TOKEN not in str(entry.changes)


def test_without_integration_it_has_neither_options_nor_lacks_a_url(client: APIClient) -> None:
    assert post(client).json()["fields"] == {"url": ["must be given."]}
    assert "url" in post(client, url="").json()["fields"]
    assert "destination" in post(client, url="https://example.com", destination={"path": "x"}).json()["fields"]
    plain = post(client, url="https://example.com").json()
    assert (plain["integration"], plain["destination"]) == (None, {})


def test_a_url_beside_an_integration_is_refused(client: APIClient, mine: Integration) -> None:
    answer = post(client, url="https://example.com", integration=str(mine.id), destination={"path": "in"})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["url"])


@pytest.mark.parametrize(
    ("options", "field"),
    [({}, "destination.path"), ({"path": 3}, "destination.path"), ({"path": "x", "method": "GET"}, "destination.method"),
     ({"path": "x", "token": "y"}, "destination.token"), ({"path": "x" * 51}, "destination.path")],
)  # fmt: skip
def test_options_are_held_to_the_connectors_fields(client: APIClient, mine: Integration, options: dict[str, Any], field: str) -> None:
    answer = post(client, integration=str(mine.id), destination=options)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


@pytest.mark.parametrize("options", [None, [], "path", 3])
def test_options_that_are_no_object_are_refused(client: APIClient, mine: Integration, options: Any) -> None:
    answer = post(client, integration=str(mine.id), destination=options)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["destination"])


def test_an_integration_that_takes_no_events_or_is_off_is_refused(client: APIClient, alice: User) -> None:
    for to in (integration("plain", owner=owner_of(alice)), integration(status="inactive", owner=owner_of(alice))):
        answer = post(client, integration=str(to.id), destination={"path": "in"})
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["integration"])
        assert to.name in answer.json()["message"]


def test_nobody_uses_credentials_that_they_do_not_see(alice: User, bob: User, charlie: User, team: Group, mine: Integration) -> None:
    for_all = integration(name="of the admins")
    theirs = [str(mine.id), str(for_all.id), str(uuid7())]
    answers = [post(client_of(charlie), integration=id, destination={"path": "in"}) for id in theirs]
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    texts = {answer.json()["message"].replace(id, "ID") for answer, id in zip(answers, theirs, strict=True)}
    assert len(texts) == 1, "whether it exists is not told"


def test_an_integration_serves_webhooks_of_its_owner_only(alice: User, team: Group, mine: Integration) -> None:
    answer = post(client_of(alice), integration=str(mine.id), destination={"path": "in"}, owner=f"team:{team.name}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["integration"])
    assert "another owner" in answer.json()["message"]
    answer = post(client_of(), integration=str(mine.id), destination={"path": "in"})
    assert answer.status_code == 400, "a webhook of the admins would carry everybody's events there"


def test_an_admin_may_lend_an_integration_of_the_admins_and_only_they_change_its_options(alice: User) -> None:
    lent = integration(name="of the admins")
    made = post(client_of(), integration=str(lent.id), destination={"path": "in"}, owner="user:alice").json()
    path = f"/api/v1/webhooks/{made['id']}"
    client = client_of(alice)
    assert client.patch(path, {"name": "mine"}, format="json").status_code == 200
    sent_back = {key: made[key] for key in ("name", "url", "events", "integration", "destination")}
    assert client.put(path, sent_back, format="json").status_code == 200
    answer = client.patch(path, {"destination": {"path": "elsewhere"}}, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (403, ["destination"])
    assert client_of().patch(path, {"destination": {"path": "elsewhere"}}, format="json").status_code == 200


def test_a_lent_integration_does_not_tell_whatever_repository_a_teams_events_name(alice: User) -> None:
    values = {"type": "github", "config": {"auth": "token", "api_url": "https://api.github.com/"}, "credentials": {"token": "t" * 20}}
    lent = Integration.objects.create(name="GitHub of the admins", category="development", **values)
    said = {"integration": str(lent.id), "owner": "user:alice"}
    refused = post(client_of(), **said, destination={"action": "repository_dispatch"})
    assert refused.status_code == 400
    assert list(refused.json()["fields"]) == ["destination.repository"]
    assert post(client_of(), **said, destination={"action": "repository_dispatch", "repository": "acme/shop"}).status_code == 201
    assert post(client_of(), integration=str(lent.id), destination={"action": "repository_dispatch"}).status_code == 201


def test_a_webhook_changes_between_url_and_integration(client: APIClient, mine: Integration) -> None:
    made = post(client, url="https://example.com/hook").json()
    path = f"/api/v1/webhooks/{made['id']}"
    body = client.patch(path, {"integration": str(mine.id), "destination": {"path": "in"}}, format="json").json()
    assert (body["url"], body["integration"]) == ("", str(mine.id))
    refused = client.patch(path, {"url": "https://example.com/other"}, format="json")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["url"])
    assert "url" in client.patch(path, {"integration": None}, format="json").json()["fields"]
    body = client.patch(path, {"integration": None, "url": "https://example.com/other"}, format="json").json()
    assert (body["url"], body["integration"], body["destination"]) == ("https://example.com/other", None, {})


def test_put_without_integration_takes_it_away_and_then_wants_a_url(client: APIClient, mine: Integration) -> None:
    made = through(client, mine)
    path = f"/api/v1/webhooks/{made['id']}"
    assert "url" in client.put(path, EVENTS, format="json").json()["fields"]
    body = client.put(path, {**EVENTS, "url": "https://example.com"}, format="json").json()
    assert (body["integration"], body["destination"]) == (None, {})


def test_the_state_knows_which_webhooks_make_calls(client: APIClient, alice: User, mine: Integration) -> None:
    made = through(client, mine)
    state = WebhookState.objects.get()
    assert state.calls is False
    caller = integration("caller", owner=owner_of(alice))
    client.patch(f"/api/v1/webhooks/{made['id']}", {"integration": str(caller.id), "destination": {"job": "x"}}, format="json")
    state.refresh_from_db()
    assert state.calls is True


def test_another_integration_starts_with_an_empty_memory(client: APIClient, alice: User, mine: Integration) -> None:
    made = through(client, mine)
    RowMemory(Webhook.objects.get().id).put("finding-1", "TICKET-1")
    path = f"/api/v1/webhooks/{made['id']}"
    client.patch(path, {"destination": {"path": "other"}}, format="json")
    assert DestinationMemory.objects.count() == 1
    other = integration(owner=owner_of(alice), name="other")
    client.patch(path, {"integration": str(other.id), "destination": {"path": "in"}}, format="json")
    assert not DestinationMemory.objects.exists()


def test_a_deleted_webhook_does_not_keep_its_integration(client: APIClient, mine: Integration) -> None:
    made = through(client, mine)
    client.delete(f"/api/v1/webhooks/{made['id']}")
    mine.delete()
    assert not Integration.objects.exists()


def test_a_test_can_be_sent(client: APIClient, mine: Integration) -> None:
    made = through(client, mine)
    assert client.post(f"/api/v1/webhooks/{made['id']}/test", {}, format="json").status_code == 202


def test_other_fields_can_be_changed_whatever_became_of_the_integration(client: APIClient, mine: Integration) -> None:
    made = through(client, mine)
    Integration.objects.update(type="removed", status="inactive")
    answer = client.patch(f"/api/v1/webhooks/{made['id']}", {"name": "renamed"}, format="json")
    assert answer.status_code == 200


def test_lists_take_as_many_statements_for_many(client: APIClient, alice: User, mine: Integration) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get("/api/v1/webhooks")
        return statements(queries)

    through(client, mine)
    few = count()
    for _ in range(3):
        through(client, integration(owner=owner_of(alice)))
    assert count() == few


def test_unreadable_credentials_hide_no_webhook(client: APIClient, mine: Integration) -> None:
    made = through(client, mine)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_integration SET credentials = %s", [b"nokey:rubbish"])
    assert client.get("/api/v1/webhooks").json()["results"][0]["id"] == made["id"]
    assert client.patch(f"/api/v1/webhooks/{made['id']}", {"name": "x"}, format="json").status_code == 200


def test_a_delivery_tells_what_it_started(client: APIClient, mine: Integration) -> None:
    through(client, mine)
    (delivery,) = due(Webhook.objects.get(), owner_id=mine.owner_id)
    path = f"/api/v1/deliveries/{delivery.id}"
    assert client.get(path).json()["follow_up"] is None
    FollowUp.objects.create(delivery=delivery, url="https://ci/1?token=sesame", label="build #812", link="https://ci/812", result="passed",
                            give_up_at=timezone.now(), memory={"secret": "sesame"})  # fmt: skip
    told = client.get(path).json()["follow_up"]
    assert (told["label"], told["link"], told["result"]) == ("build #812", "https://ci/812", "passed")
    assert "sesame" not in str(told)


def test_services_check_as_well(mine: Integration) -> None:
    webhook, _ = services.create_webhook(
        {"name": "x", "events": ["custom.a"], "integration": mine, "destination": {"path": "in"}, "owner_id": mine.owner_id}
    )
    assert webhook.url == ""
