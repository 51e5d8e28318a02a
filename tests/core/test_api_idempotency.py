"""A POST with an Idempotency-Key is carried out once, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from core.api import idempotency
from core.ids import uuid7
from core.models import IdempotencyKey
from integrations.models import Repository
from tests.access.keys import client_of, make_key
from tests.core import sample_api
from tests.core.processes import line_of, python, say

pytestmark = [pytest.mark.urls("tests.core.sample_api")]
GOOD = {"provider": "github", "full_name": "o/n"}


def post(client: APIClient, key: str = "key-1", data: dict[str, Any] | None = None, path: str = "/api/v1/samples") -> Any:
    return client.post(path, GOOD if data is None else data, format="json", HTTP_IDEMPOTENCY_KEY=key)


@pytest.mark.django_db
class TestOneAtATime:
    @pytest.fixture
    def client(self) -> APIClient:
        return client_of(None)

    def test_the_same_request_again_gets_the_same_answer(self, client: APIClient) -> None:
        first, second = post(client), post(client)
        assert first.status_code == second.status_code == 201
        assert first.json() == second.json()
        assert "Idempotency-Replayed" not in first
        assert second["Idempotency-Replayed"] == "true"
        assert Repository.objects.count() == 1

    def test_the_alias_and_a_slash_are_the_same_route(self, client: APIClient) -> None:
        post(client)
        assert post(client, path="/api/samples/")["Idempotency-Replayed"] == "true"

    def test_another_body_with_the_same_key_is_a_conflict(self, client: APIClient) -> None:
        post(client)
        answer = post(client, data=GOOD | {"full_name": "o/other"})
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_mismatch")
        assert Repository.objects.count() == 1

    def test_another_key_or_caller_or_route_is_another_request(self, client: APIClient) -> None:
        post(client)
        assert post(client, "key-2", GOOD | {"full_name": "o/2"}).status_code == 201
        assert post(client_of(None), "key-1", GOOD | {"full_name": "o/3"}).status_code == 201
        assert post(client, "key-1", GOOD | {"full_name": "o/4"}, path="/api/v1/tiny").status_code == 201

    def test_a_failed_request_frees_its_key(self, client: APIClient) -> None:
        assert post(client, data={"provider": "nowhere"}).status_code == 400
        assert not IdempotencyKey.objects.exists()
        assert post(client).status_code == 201

    def test_a_late_failure_leaves_nothing_behind(self, client: APIClient) -> None:
        assert post(client, data=GOOD | {"full_name": "late/failure"}).status_code == 409
        assert not Repository.objects.exists()
        assert not IdempotencyKey.objects.exists()

    def test_a_crash_frees_its_key(self, client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def crash(*args: Any) -> None:
            raise RuntimeError("power cut")

        with monkeypatch.context() as patch:
            patch.setattr(sample_api.SampleViewSet, "create_row", crash)
            assert post(client).status_code == 500
        assert post(client).status_code == 201

    def test_the_stored_answer_is_encrypted(self, client: APIClient) -> None:
        post(client)
        with connection.cursor() as cursor:
            cursor.execute("SELECT answer FROM core_idempotencykey")
            (stored,) = cursor.fetchone()
        assert b"o/n" not in bytes(stored)

    @pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ünicode"])
    def test_a_malformed_key_is_a_400(self, client: APIClient, key: str) -> None:
        answer = post(client, key)
        assert answer.status_code == 400
        assert "Idempotency-Key" in answer.json()["fields"]
        assert not Repository.objects.exists()

    def test_the_longest_key_is_taken(self, client: APIClient) -> None:
        assert post(client, "x" * 255).status_code == 201

    def test_an_exempt_action_is_always_carried_out(self, client: APIClient) -> None:
        for number in range(2):
            answer = client.post("/api/v1/samples/always", {"n": number}, format="json", HTTP_IDEMPOTENCY_KEY="k")
            assert answer.json() == {"data": {"n": number}}

    def test_a_request_without_a_key_stores_none(self, client: APIClient) -> None:
        assert client.post("/api/v1/samples", GOOD, format="json").status_code == 201
        assert not IdempotencyKey.objects.exists()

    def test_a_request_in_progress_is_a_conflict(self, client: APIClient) -> None:
        post(client)
        IdempotencyKey.objects.update(status_code=None, answer=None)
        answer = post(client)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
        assert answer["Retry-After"] == "1"

    def test_a_request_of_a_killed_process_is_taken_over(self, client: APIClient) -> None:
        post(client)
        Repository.objects.all().delete()  # it was killed before its commit
        IdempotencyKey.objects.update(status_code=None, answer=None, created_at=timezone.now() - timedelta(seconds=61))
        assert post(client).status_code == 201
        assert Repository.objects.count() == 1
        assert post(client)["Idempotency-Replayed"] == "true"

    def test_a_key_is_forgotten_after_a_day(self, client: APIClient) -> None:
        post(client)
        IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
        assert post(client, data=GOOD | {"full_name": "o/next-day"}).status_code == 201
        assert Repository.objects.count() == 2

    def test_an_original_that_was_only_slow_commits_nothing_after_a_takeover(
        self, client: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create = sample_api.SampleViewSet.create_row

        def overtaken(view: Any, data: dict[str, Any]) -> Repository:
            row = create(view, data)
            IdempotencyKey.objects.update(token=uuid7())
            return row

        monkeypatch.setattr(sample_api.SampleViewSet, "create_row", overtaken)
        answer = post(client)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
        assert not Repository.objects.exists()

    def test_a_lost_race_for_the_takeover_is_a_conflict(self, client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        post(client)
        IdempotencyKey.objects.update(status_code=None, answer=None, created_at=timezone.now() - timedelta(seconds=61))
        take_over = idempotency._take_over

        def slower(*args: Any) -> Any:
            IdempotencyKey.objects.update(token=uuid7())
            return take_over(*args)

        monkeypatch.setattr(idempotency, "_take_over", slower)
        assert post(client).json()["code"] == "idempotency_in_progress"


@pytest.fixture
def slowly() -> Iterator[None]:
    """Make each creation last long enough to be overlapped."""
    sample_api.slow_seconds = 0.3
    yield
    sample_api.slow_seconds = 0.0


@pytest.mark.django_db(transaction=True)
def test_of_many_threads_at_once_one_creates(slowly: None) -> None:
    _, text = make_key(None, unlimited=True)
    gate, answers = threading.Barrier(8), []

    def send() -> None:
        try:
            client = Client()
            gate.wait()
            answers.append(
                client.post(
                    "/api/v1/samples",
                    GOOD,
                    content_type="application/json",
                    HTTP_AUTHORIZATION=f"Bearer {text}",
                    HTTP_IDEMPOTENCY_KEY="key-1",
                )
            )
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert Repository.objects.count() == 1
    fresh = [answer for answer in answers if answer.status_code == 201 and "Idempotency-Replayed" not in answer]
    assert len(fresh) == 1
    for answer in answers:
        if answer.status_code == 201:
            assert answer.json() == fresh[0].json()
        else:
            assert answer.json()["code"] == "idempotency_in_progress"


_SENDER = """
import sys
from django.conf import settings
settings.ROOT_URLCONF = "tests.core.sample_api"
settings.ALLOWED_HOSTS = ["*"]
from django.test import Client
import logging; logging.disable()
print("ready", flush=True)
sys.stdin.readline()
answer = Client().post("/api/v1/samples", b'{"provider":"github","full_name":"o/n"}', content_type="application/json",
                       HTTP_AUTHORIZATION="Bearer TEXT", HTTP_IDEMPOTENCY_KEY="key-1")
print(answer.status_code, answer.headers.get("Idempotency-Replayed", "fresh"), flush=True)
"""


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_of_several_processes_taking_a_dead_request_over_one_creates() -> None:
    _, text = make_key(None, unlimited=True)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    post(client)
    Repository.objects.all().delete()
    IdempotencyKey.objects.update(status_code=None, answer=None, created_at=timezone.now() - timedelta(seconds=61))
    code = _SENDER.replace("TEXT", text)
    with python(code) as one, python(code) as two, python(code) as three:
        senders = [one, two, three]
        assert [line_of(sender) for sender in senders] == ["ready"] * 3
        for sender in senders:
            say(sender, "go")
        outcomes = [line_of(sender) for sender in senders]
    assert outcomes.count("201 fresh") == 1, outcomes
    assert Repository.objects.count() == 1
    assert set(outcomes) <= {"201 fresh", "201 true", "409 fresh"}
