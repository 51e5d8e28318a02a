from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import leases
from core.models import Worker
from repoguard import __version__, health
from repoguard.env import Environment
from tests.core.processes import line_of, python
from tests.factories import WebhookFactory
from webhooks.models import DueHint, WebhookState

ROUTES = ["/api/v1/health", "/api/v1/health/", "/api/health"]
KINDS = ("cluster:default", "cluster:deliveries", "deliveries")


@pytest.fixture
def workers(db) -> None:
    """Have a worker of every kind that a running portal has."""
    for kind in KINDS:
        leases.register_worker(kind)


def _silence(kind: str, seconds: float = health.SILENT_SECONDS + 10) -> None:
    Worker.objects.filter(kind=kind).update(heartbeat_at=Now() - timedelta(seconds=seconds))


def _problems(client) -> list[str]:
    answer = client.get("/api/v1/health")
    problems = answer.json()["problems"]
    assert answer.status_code == (503 if problems else 200)
    assert answer.json()["status"] == ("unavailable" if problems else "ok")
    return problems


@pytest.mark.parametrize("route", ROUTES)
def test_a_running_portal_is_ready(client, workers, route):
    answer = client.get(route)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["version"], body["problems"]) == ("ok", __version__, [])
    assert body["database"]["ok"] is True
    assert body["cache"] == {"ok": True}
    assert [worker["cluster"] for worker in body["workers"]] == ["default", "deliveries"]
    assert body["deliveries"]["oldest_due_seconds"] == 0
    assert answer["Cache-Control"] == "no-store"


def test_it_costs_a_fixed_number_of_statements_and_no_session(client, workers):
    for parked in (0, 1):
        _overdue(400, enabled=False, pending_count=parked)
        with CaptureQueriesContext(connection) as queries:
            client.get("/api/v1/health")
        assert len(queries) == 4 + parked


def test_a_portal_without_workers_is_not_ready(client, db):
    problems = _problems(client)
    assert problems[0] == "No worker of the cluster default is running; start the workers."
    assert len(problems) == 3


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("cluster:default", "The workers of the cluster default have been silent for 40 seconds."),
        ("cluster:deliveries", "The workers of the cluster deliveries have been silent for 40 seconds."),
        ("deliveries", "The process that sends deliveries has been silent for 40 seconds."),
    ],
)
def test_a_silent_worker_is_named(client, workers, kind, sentence):
    _silence(kind)
    assert _problems(client) == [sentence]


def test_a_short_silence_is_forgiven(client, workers):
    for kind in KINDS:
        _silence(kind, health.SILENT_SECONDS - 10)
    assert _problems(client) == []


def test_one_silent_machine_of_two_is_no_problem(client, workers):
    _silence("cluster:default")
    leases.register_worker("cluster:default")
    assert _problems(client) == []


def test_workers_that_are_all_busy_are_alive(client, workers):
    _silence("cluster:default")
    leases.register_worker("work")
    assert _problems(client) == []


# --- deliveries -------------------------------------------------------------------------------------------------------


def _overdue(seconds: float, **state) -> None:
    due = timezone.now() - timedelta(seconds=seconds)
    values = {"oldest_due_at": due, "next_due_at": due, "pending_count": 1} | state
    WebhookState.objects.filter(webhook=WebhookFactory()).update(**values)


def test_deliveries_that_stand_still_are_a_problem(client, workers):
    _overdue(400)
    (problem,) = _problems(client)
    assert problem.startswith("Deliveries stand still: the oldest has been due for 40")
    assert client.get("/api/v1/health").json()["deliveries"]["oldest_due_seconds"] >= 400


def test_hints_that_nobody_takes_are_a_problem(client, workers):
    hook = WebhookFactory()
    DueHint.objects.create(webhook_id=hook.id, due_at=timezone.now() - timedelta(seconds=400))
    assert len(_problems(client)) == 1


def test_a_backlog_that_is_being_worked_off_is_no_problem(client, workers):
    _overdue(400, last_success_at=timezone.now())
    assert _problems(client) == []


@pytest.mark.parametrize("limit", [{"full": True}, {"hold_until": timezone.now() + timedelta(hours=1), "hold_reason": "rate_limit"}])
def test_a_webhook_at_its_own_limit_is_no_problem(client, workers, limit):
    _overdue(400, **limit)
    assert _problems(client) == []


@pytest.mark.parametrize("parked", [{"enabled": False}, {"hold_until": timezone.now() + timedelta(hours=1)}])
def test_parked_deliveries_are_no_problem(client, workers, parked):
    _overdue(400, **parked)
    assert _problems(client) == []
    assert client.get("/api/v1/health").json()["deliveries"]["oldest_due_seconds"] == 0


# --- a database that is away ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_dead_database_is_a_503_that_tells_nobody_where_it_is(client, db, monkeypatch, error):
    def dead() -> None:
        raise error('connection to "10.9.8.7" failed for user "hunter2"')

    monkeypatch.setattr(health, "_heartbeat_ages", dead)
    answer = client.get("/api/v1/health")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["The database can't be reached or does not answer."]
    assert answer.json()["database"] == {"ok": False, "milliseconds": None}
    assert "10.9.8.7" not in answer.content.decode()
    assert "hunter2" not in answer.content.decode()


_ASKS = """
from django.test import Client
for path in ("api/v1/health", "metrics", "livez"):
    answer = Client(headers={"host": "localhost"}).get(f"/{path}")
    print(answer.status_code, answer.content.decode().strip(), flush=True)
"""


@pytest.mark.processes
@pytest.mark.once
def test_a_real_process_whose_database_is_away_answers(db):
    with python(_ASKS, database="postgres://portal:hunter2@127.0.0.1:9/portal") as process:
        lines = [line_of(process) for _ in range(3)]
    assert [line.split()[0] for line in lines] == ["503", "503", "200"]
    assert "The database can't be reached" in lines[0]
    assert "The database can't be reached" in lines[1]
    assert "hunter2" not in "".join(lines)
    assert "127.0.0.1" not in "".join(lines)


def test_a_redis_that_is_away_is_named(client, workers, settings):
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://:hunter2@127.0.0.1:9/0"}
    settings.CACHES = settings.CACHES | {"counters": redis}
    assert _problems(client) == ["The cache that counts requests (Redis, or a file in the data folder) can't be written to."]
    answer = client.get("/api/v1/health")
    assert answer.json()["cache"] == {"ok": False}
    assert answer.json()["database"]["ok"] is True
    assert "hunter2" not in answer.content.decode()


def test_connecting_to_a_host_that_does_not_answer_ends_soon():
    config = Environment({"URL": "postgres://portal@db.example.com/portal"}).database("URL", Path("unused"))
    assert config["OPTIONS"]["connect_timeout"] == 5
    config = Environment({"URL": "postgres://portal@db.example.com/portal?connect_timeout=2"}).database("URL", Path("unused"))
    assert int(config["OPTIONS"]["connect_timeout"]) == 2


def test_nothing_on_the_way_to_the_answer_asks_the_database(client, monkeypatch):
    # no database mark: any statement but the view's own, which is replaced, would fail this test
    report = health.Report(problems=["Something."])
    monkeypatch.setattr(health, "examine", lambda: report)
    assert client.get("/api/v1/health", headers={"Cookie": "sessionid=x"}).status_code == 503


def test_livez_asks_nobody(client):
    answer = client.get("/livez")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_only_reading_is_possible(client, workers):
    answer = client.post("/api/v1/health", json.dumps({}), content_type="application/json")
    assert answer.status_code == 405


def test_the_examples_have_the_shape_of_the_answer(client, workers):
    body = client.get("/api/v1/health").json()
    for example in (health._READY, health._NOT_READY):
        assert example.keys() == body.keys() == set(health.HealthSerializer().fields)
        assert example["workers"][0].keys() == body["workers"][0].keys()
        assert example["deliveries"].keys() == body["deliveries"].keys()
