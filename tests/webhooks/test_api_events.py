from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from core.event_types import catalogue
from core.ids import uuid7
from core.models import Event
from tests.access.keys import client_of
from tests.factories import EventFactory, RepositoryFactory, WebhookFactory, owner_of, statements
from webhooks.models import WebhookDelivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


def post(client: APIClient, body: Any, path: str = "events") -> Any:
    return client.post(f"/api/v1/{path}", body, format="json")


# --- one event --------------------------------------------------------------------------------------------------------


def test_it_publishes_what_was_posted(client: APIClient, alice: User) -> None:
    hook = WebhookFactory(owner=owner_of(alice), events=["custom.*"])
    answer = post(client, {"type": "custom.deployed", "data": {"n": 1}})
    assert answer.status_code == 201
    body = answer.json()
    event = Event.objects.get()
    assert body["id"] == str(event.id)
    assert (body["type"], body["owner"], body["repository"], body["size"]) == ("custom.deployed", "user:alice", None, 7)
    assert (event.payload, event.owner_id) == ({"n": 1}, owner_of(alice).id)
    assert WebhookDelivery.objects.get().webhook_id == hook.id


@pytest.mark.parametrize("name", ["custom.x", "repository.pushed", "repository.created", "pull_request.updated"])
def test_a_team_may_post_little(client: APIClient, name: str) -> None:
    assert post(client, {"type": name, "data": {"n": 1}}).status_code == 201


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"text": "ünï🚀", "nul": "\u0000", "lone": "\ud800"},
        {"n": [0, -1, 1.5, 10**25, 1e-7, None, True]},
        {"deep": {"a": [[{"b": {}}]]}},
    ],
)
def test_the_data_come_back_equal(client: APIClient, data: Any) -> None:
    id = post(client, {"type": "custom.x", "data": data}).json()["id"]
    answer = client.get(f"/api/v1/events/{id}")
    assert answer.status_code == 200
    assert json.loads(answer.content)["data"] == data


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "type"),
        ({"data": {}}, "type"),
        ({"type": "custom.x"}, "data"),
        ({"type": "custom.x", "data": None}, "data"),
        ({"type": "custom.x", "data": []}, "data"),
        ({"type": "custom.x", "data": "x"}, "data"),
        ({"type": 5, "data": {}}, "type"),
        ({"type": "", "data": {}}, "type"),
        ({"type": "nothing.here", "data": {}}, "type"),
        ({"type": "custom.*", "data": {}}, "type"),
        ({"type": "\ud800.x", "data": {}}, "type"),
        ({"type": "x" * 5000, "data": {}}, "type"),
        ({"type": "webhook.disabled", "data": {}}, "type"),
        ({"type": "build.failed", "data": {}}, "data"),
        ({"type": "custom.x", "data": {}, "repository": 5}, "repository"),
        ({"type": "custom.x", "data": {}, "repository": "no/such"}, "repository"),
        ({"type": "custom.x", "data": {}, "repository": str(uuid7())}, "repository"),
        ({"type": "custom.x", "data": {}, "repository": "a\x00b"}, "repository"),
        ({"type": "custom.x", "data": {}, "owner": "x"}, "owner"),
        ({"type": "custom.x", "data": {}, "\ud800": "x"}, "\\ud800"),
    ],
)
def test_a_wrong_event_is_a_400_that_names_the_field(client: APIClient, body: Any, field: str) -> None:
    answer = post(client, body)
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["fields"]
    assert len(answer.content) < 2000
    assert not Event.objects.exists()


@pytest.mark.parametrize("body", [[], [{"type": "custom.x", "data": {}}], "x", 5, None])
def test_a_body_that_is_no_object_is_a_400(client: APIClient, body: Any) -> None:
    answer = client.post("/api/v1/events", json.dumps(body), content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_data_over_the_limit_are_a_413(client: APIClient, settings: Any) -> None:
    settings.EVENT_MAX_BYTES = 100
    answer = post(client, {"type": "custom.x", "data": {"a": "x" * 100}})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "EVENT_MAX_BYTES" in answer.json()["message"]


def test_a_schema_violation_names_what_is_wrong(client: APIClient) -> None:
    answer = post(client, {"type": "build.failed", "data": {"build_id": None}})
    assert answer.json()["code"] == "schema_violation"
    assert "build_id" in answer.json()["fields"]["data"][0]


# --- what may be said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [t.name for t in catalogue.all() if not (t.postable or t.operational or t.recorded)])
def test_results_cannot_be_forged_without_the_scope(client: APIClient, alice: User, name: str) -> None:
    event_type = catalogue.types[name]
    body = {"type": event_type.example_name, "data": event_type.example}
    answer = post(client, body)
    assert answer.status_code == 403
    assert "events:system" in answer.json()["message"]
    assert not Event.objects.exists()
    assert post(client_of(None, "events:write", "events:system"), body).status_code == 201


@pytest.mark.parametrize("name", [t.name for t in catalogue.all() if t.operational or t.recorded])
def test_operational_events_and_those_for_single_webhooks_are_never_posted(name: str) -> None:
    answer = post(client_of(None, "events:write", "events:system"), {"type": name, "data": catalogue.types[name].example})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_postable")


@pytest.mark.parametrize("name", [t.name for t in catalogue.all() if t.postable])
def test_the_example_of_every_postable_type_is_accepted(client: APIClient, name: str) -> None:
    event_type = catalogue.types[name]
    assert post(client, {"type": event_type.example_name, "data": event_type.example}).status_code == 201


# --- repositories -----------------------------------------------------------------------------------------------------


def test_an_event_belongs_to_its_repositorys_owner(client: APIClient, team: Group) -> None:
    shop = RepositoryFactory(owner=owner_of(team))
    for reference in (str(shop.id), shop.full_name):
        body = post(client, {"type": "custom.x", "data": {}, "repository": reference}).json()
        assert (body["repository"], body["owner"]) == (str(shop.id), "team:team-blue")


def test_the_repository_is_found_in_the_payload(client: APIClient, alice: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice), full_name="acme/shop")
    body = post(client, {"type": "repository.pushed", "data": {"repository": {"full_name": "acme/shop"}}}).json()
    assert body["repository"] == str(shop.id)


def test_a_payload_that_names_several_or_foreign_repositories_is_about_none(client: APIClient, alice: User, charlie: User) -> None:
    RepositoryFactory(owner=owner_of(charlie), full_name="acme/secret")
    for provider in ("github", "gitlab"):
        RepositoryFactory(owner=owner_of(alice), provider=provider, full_name="acme/twice")
    for name in ("acme/secret", "acme/twice", "acme/unknown", "", 5, "x" * 999, "a\x00b"):
        body = post(client, {"type": "repository.pushed", "data": {"repository": {"full_name": name}}}).json()
        assert (body["repository"], body["owner"]) == (None, "user:alice")


def test_an_ambiguous_name_is_refused_and_an_id_is_not(client: APIClient, alice: User) -> None:
    rows = [RepositoryFactory(owner=owner_of(alice), provider=provider, full_name="acme/twice") for provider in ("github", "gitlab")]
    answer = post(client, {"type": "custom.x", "data": {}, "repository": "acme/twice"})
    assert answer.status_code == 400
    assert "give the id" in answer.json()["message"]
    assert post(client, {"type": "custom.x", "data": {}, "repository": str(rows[0].id)}).status_code == 201


def test_a_strangers_repository_cannot_be_named(client: APIClient, charlie: User) -> None:
    secret = RepositoryFactory(owner=owner_of(charlie))
    for reference in (str(secret.id), secret.full_name):
        assert post(client, {"type": "custom.x", "data": {}, "repository": reference}).status_code == 400


def test_admins_post_for_nobody(alice: User) -> None:
    assert post(client_of(None), {"type": "custom.x", "data": {}}).json()["owner"] is None


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_answers_ids_in_order(client: APIClient, alice: User) -> None:
    WebhookFactory(owner=owner_of(alice))
    answer = post(client, {"events": [{"type": "custom.x", "data": {"n": n}} for n in range(1000)]}, "events/batch")
    assert answer.status_code == 201
    body = answer.json()
    assert len(body["ids"]) == len(set(body["ids"])) == 1000
    payloads = {str(event.id): event.payload for event in Event.objects.all()}
    assert [payloads[id]["n"] for id in body["ids"]] == list(range(1000))
    assert body["results"][7] == {"index": 7, "id": body["ids"][7], "type": "custom.x", "repository": None}
    assert WebhookDelivery.objects.count() == 1000


@pytest.mark.parametrize("events", [[], None, {}, "x", [{"type": "custom.x", "data": {}}] * 1001])
def test_a_batch_has_one_to_a_thousand_events(client: APIClient, events: Any) -> None:
    answer = post(client, {"events": events}, "events/batch")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["events"])


@pytest.mark.parametrize("body", [[], {}, {"events": [{"type": "custom.x", "data": {}}], "dry_run": True}, 5])
def test_a_batch_of_another_shape_is_a_400(client: APIClient, body: Any) -> None:
    answer = client.post("/api/v1/events/batch", json.dumps(body), content_type="application/json")
    assert answer.status_code == 400
    assert not Event.objects.exists()


def test_one_wrong_event_stores_none_and_is_named(client: APIClient) -> None:
    good = {"type": "custom.x", "data": {}}
    batch = [good, {"type": "nothing.here", "data": {}}, good, {"type": "build.failed", "data": {}}, {"type": "custom.x"}, 5]
    answer = post(client, {"events": batch[:4]}, "events/batch")
    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"events.1.type", "events.3.data"}
    assert "Nothing was stored" in answer.json()["message"]
    answer = post(client, {"events": batch[4:]}, "events/batch")
    assert set(answer.json()["fields"]) == {"events.0.data", "events.1"}
    assert not Event.objects.exists()


def test_a_forged_event_refuses_its_batch(client: APIClient) -> None:
    batch = [{"type": "custom.x", "data": {}}, {"type": "gate.passed", "data": catalogue.types["gate.passed"].example}]
    answer = post(client, {"events": batch}, "events/batch")
    assert (answer.status_code, list(answer.json()["fields"])) == (403, ["events.1.type"])
    assert not Event.objects.exists()


def test_a_thousand_wrong_events_make_a_short_answer(client: APIClient) -> None:
    answer = post(client, {"events": [{"type": "nothing.here", "data": {}}] * 1000}, "events/batch")
    assert answer.status_code == 400
    assert len(answer.json()["fields"]) == 20
    assert "1000 events are wrong" in answer.json()["message"]


def test_each_event_of_a_batch_has_its_own_repository(client: APIClient, alice: User, team: Group) -> None:
    mine, ours = RepositoryFactory(owner=owner_of(alice)), RepositoryFactory(owner=owner_of(team))
    batch = [
        {"type": "custom.x", "data": {}, "repository": str(mine.id)},
        {"type": "custom.x", "data": {}, "repository": ours.full_name},
        {"type": "custom.x", "data": {}},
    ]
    results = post(client, {"events": batch}, "events/batch").json()["results"]
    assert [result["repository"] for result in results] == [str(mine.id), str(ours.id), None]
    assert list(Event.objects.order_by("id").values_list("owner_id", flat=True)) == [
        owner_of(alice).id,
        owner_of(team).id,
        owner_of(alice).id,
    ]


def test_a_batch_takes_the_same_statements_for_many_events(client: APIClient, alice: User) -> None:
    WebhookFactory(owner=owner_of(alice))
    shops = [RepositoryFactory(owner=owner_of(alice)) for _ in range(40)]

    def count(events: int) -> int:
        batch = [{"type": f"custom.t{n}", "data": {}, "repository": shops[n].full_name} for n in range(events)]
        with CaptureQueriesContext(connection) as queries:
            assert post(client, {"events": batch}, "events/batch").status_code == 201
        return statements(queries)

    count(1)
    assert count(40) == count(1)


def test_the_same_key_publishes_once(client: APIClient) -> None:
    answers = [
        client.post("/api/v1/events", {"type": "custom.x", "data": {}}, format="json", HTTP_IDEMPOTENCY_KEY="k").json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert Event.objects.count() == 1


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_list_is_light_and_filtered(client: APIClient, alice: User) -> None:
    owner = owner_of(alice)
    shop = RepositoryFactory(owner=owner)
    first = EventFactory(owner=owner, type="scan.completed", repository_id=shop.id)
    second = EventFactory(owner=owner, type="custom.x")

    def ids(query: str = "") -> list[str]:
        return [row["id"] for row in client.get(f"/api/v1/events{query}").json()["results"]]

    assert ids() == [str(second.id), str(first.id)]
    assert ids("?type=scan.completed") == [str(first.id)]
    assert ids(f"?repository={shop.id}") == [str(first.id)]
    assert ids("?since=2100-01-01T00:00:00Z") == []
    assert "data" not in client.get("/api/v1/events").json()["results"][0]


def test_the_list_never_reads_the_data(client: APIClient, alice: User) -> None:
    EventFactory(owner=owner_of(alice))
    with CaptureQueriesContext(connection) as queries:
        client.get("/api/v1/events")
    assert not [query["sql"] for query in queries if '"payload"' in query["sql"]]


def test_a_stranger_sees_no_event(alice: User, charlie: User) -> None:
    event = EventFactory(owner=owner_of(alice))
    assert client_of(charlie).get(f"/api/v1/events/{event.id}").status_code == 404
    assert client_of(charlie).get("/api/v1/events").json()["results"] == []


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_events_never_change(client: APIClient, alice: User, method: str) -> None:
    event = EventFactory(owner=owner_of(alice))
    assert getattr(client, method)(f"/api/v1/events/{event.id}", {}, format="json").status_code == 405


# --- types ------------------------------------------------------------------------------------------------------------


def test_it_lists_every_type_with_schema_and_example(client: APIClient) -> None:
    results = client.get("/api/v1/event-types").json()["results"]
    assert [row["name"] for row in results] == [event_type.name for event_type in catalogue.all()]
    assert all(row["schema"] and row["example"] and row["description"] for row in results)


@pytest.mark.parametrize(
    ("asked", "name"), [("finding.opened", "finding.opened"), ("custom.*", "custom.*"), ("custom.deployed", "custom.*")]
)
def test_it_shows_one_type(client: APIClient, asked: str, name: str) -> None:
    answer = client.get(f"/api/v1/event-types/{asked}")
    assert (answer.status_code, answer.json()["name"]) == (200, name)


def test_an_unknown_type_is_not_found(client: APIClient) -> None:
    assert client.get("/api/v1/event-types/nothing.here").status_code == 404
