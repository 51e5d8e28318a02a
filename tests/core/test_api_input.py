"""Query parameters and fields: unknown ones and wrong types are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.test import APIClient

from core.api.serializers import StrictSerializer, type_error
from integrations.models import Repository
from tests.access.keys import client_of, client_with, make_key

GOOD = {"provider": "github", "full_name": "o/n"}


class Child(StrictSerializer):
    name = serializers.CharField()


class Everything(StrictSerializer):
    text = serializers.CharField(required=False)
    number = serializers.IntegerField(required=False)
    ratio = serializers.FloatField(required=False)
    yes = serializers.BooleanField(required=False)
    when = serializers.DateTimeField(required=False)
    choice = serializers.ChoiceField(choices=["a", "b"], required=False)
    level = serializers.ChoiceField(choices=[0, 1], required=False)
    texts = serializers.ListField(child=serializers.CharField(), required=False)
    child = Child(required=False)
    children = Child(many=True, required=False)
    anything = serializers.JSONField(required=False)
    id = serializers.UUIDField(read_only=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 5),
        ("text", True),
        ("text", ["x"]),
        ("number", "5"),
        ("number", True),
        ("number", 1.5),
        ("ratio", "1.5"),
        ("ratio", False),
        ("yes", "yes"),
        ("yes", 1),
        ("when", 20260101),
        ("choice", "c"),
        ("choice", 0),
        ("level", "0"),
        ("texts", "x"),
        ("texts", ["x", 5]),
        ("texts", {"0": "x"}),
        ("child", {"name": "x", "other": 1}),
        ("child", {"name": 5}),
        ("child", "x"),
        ("children", [{"name": "x"}, {"nam": "x"}]),
        ("colour", "red"),
        ("text", None),
    ],
)
def test_it_refuses_other_types_and_unknown_names(field: str, value: Any) -> None:
    serializer = Everything(data={field: value})
    assert not serializer.is_valid()
    assert list(serializer.errors) == [field]


@pytest.mark.parametrize(
    "data",
    [
        {"number": 5.0},
        {"ratio": 2},
        {"level": 1},
        {"choice": "a"},
        {"texts": []},
        {"child": {"name": "x"}},
        {"anything": {"deep": [1]}},
        {"id": "not even an id", "text": "x"},
    ],
)
def test_it_takes_what_the_schema_says(data: dict[str, Any]) -> None:
    serializer = Everything(data=data)
    assert serializer.is_valid(), serializer.errors
    assert "id" not in serializer.validated_data


def test_an_unknown_field_is_told_the_known_ones() -> None:
    serializer = Everything(data={"colour": "red"})
    assert not serializer.is_valid()
    assert "text" in serializer.errors["colour"][0]
    assert " id" not in serializer.errors["colour"][0]


def test_a_wrong_choice_is_told_the_right_ones_and_a_wrong_body_what_is_expected() -> None:
    choice, child = Everything(data={"choice": "c"}), Everything(data={"child": []})
    assert not choice.is_valid()
    assert choice.errors["choice"] == ["must be one of 'a', 'b'."]
    assert not child.is_valid()
    assert child.errors["child"] == {"non_field_errors": ["Expected a JSON object ({…})."]}


def test_an_empty_choice_is_taken_where_it_may_be_empty() -> None:
    assert type_error(serializers.ChoiceField(choices=["a"], allow_blank=True), "") is None


def test_several_choices_are_a_list() -> None:
    assert type_error(serializers.MultipleChoiceField(choices=["a"]), ["a"]) is None


@pytest.mark.django_db
@pytest.mark.urls("tests.core.sample_api")
class TestOverHttp:
    @pytest.fixture
    def client(self) -> APIClient:
        return client_of(None)

    def test_an_unknown_field_creates_nothing(self, client: APIClient) -> None:
        answer = client.post("/api/v1/samples", GOOD | {"colour": "red"}, format="json")
        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == ["colour"]
        assert not Repository.objects.exists()

    def test_read_only_fields_sent_back_are_ignored(self, client: APIClient) -> None:
        created = client.post("/api/v1/samples", GOOD, format="json").json()
        again = client.put(f"/api/v1/samples/{created['id']}", created | {"id": "other", "created_at": 5}, format="json")
        assert (again.status_code, again.json()["id"]) == (200, created["id"])

    @pytest.mark.parametrize("value", [None, ""])
    def test_a_secret_can_be_left_out_but_not_emptied(self, client: APIClient, value: Any) -> None:
        answer = client.post("/api/v1/samples", GOOD | {"secret": value}, format="json")
        assert answer.status_code == 400
        assert "leave the field out" in answer.json()["fields"]["secret"][0]

    @pytest.mark.parametrize("path", ["/api/v1/samples?colour=red", "/api/v1/samples?Active=true"])
    def test_an_unknown_parameter_is_refused_with_the_known_ones(self, client: APIClient, path: str) -> None:
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
        for known in ("active", "full_name", "cursor", "page_size"):
            assert known in answer.json()["message"]

    def test_routes_without_parameters_refuse_any(self, client: APIClient) -> None:
        row = Repository.objects.create(**GOOD)
        for method in ("get", "put", "patch", "delete"):
            answer = getattr(client, method)(f"/api/v1/samples/{row.id}?active=true")
            assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter"), method
        assert client.post("/api/v1/samples?full_name=x", GOOD, format="json").status_code == 400

    def test_a_filter_does_not_hide_a_single_object(self, client: APIClient) -> None:
        row = Repository.objects.create(**GOOD, active=False)
        assert client.get(f"/api/v1/samples/{row.id}").status_code == 200

    def test_a_wrong_filter_value_is_a_400(self, client: APIClient) -> None:
        answer = client.get("/api/v1/samples", {"full_name": "a\x00b"})
        assert answer.status_code == 400
        assert "full_name" in answer.json()["fields"]

    def test_a_form_without_a_body_is_an_empty_object(self, client: APIClient) -> None:
        row = Repository.objects.create(**GOOD)
        answer = client.generic("PATCH", f"/api/v1/samples/{row.id}", b"", content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 200
        row.refresh_from_db()
        assert row.active


@pytest.mark.urls("tests.core.sample_api")
@pytest.mark.django_db
@pytest.mark.parametrize("query", ["full_name=", "full_name=%20", "active=", "full_name=a&active=", "full_name"])
def test_an_empty_query_parameter_is_refused_by_name(query: str) -> None:
    Repository.objects.create(**GOOD)
    answer = client_of(None).get(f"/api/v1/samples?{query}")
    name = query.rpartition("&")[2].partition("=")[0]
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid"
    assert answer.json()["fields"] == {name: ["is empty; give a value or leave it out."]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "name", "sentence"),
    [
        ("repositories?active=maybe", "active", "must be true or false."),
        ("inbound-sources?active=1", "active", "must be true or false."),
        ("replays?status=over", "status", "must be one of running, paused, done, cancelled, failed."),
        ("deliveries?webhook=7", "webhook", "must be an id, such as 0192f0c1-2b3c-7d4e-8f50-61728394a5b6."),
        ("events?since=yesterday", "since", "must be a time, such as 2026-11-20T09:30:00Z."),
        ("api-keys/{key}/usage?since=yesterday", "since", "must be a day, such as 2026-11-20."),
    ],
)
def test_a_wrong_value_of_a_query_parameter_is_told_what_it_must_be(path: str, name: str, sentence: str) -> None:
    key, text = make_key(None)
    answer = client_with(text).get(f"/api/v1/{path.replace('{key}', str(key.id))}")
    assert (answer.status_code, answer.json()["code"], answer.json()["fields"]) == (400, "invalid", {name: [sentence]})


@pytest.mark.django_db
def test_both_words_of_a_boolean_parameter_are_taken() -> None:
    for word in ("true", "false"):
        assert client_of(None).get(f"/api/v1/repositories?active={word}").json()["results"] == []
