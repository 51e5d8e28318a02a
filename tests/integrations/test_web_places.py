"""A system that hangs takes at most half of a web server process's threads; who comes then is told so at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from core.errors import Unavailable
from core.http.web_calls import web_place
from core.models import RequestLog
from integrations.checking import run_check
from tests.access.keys import client_of
from tests.core.door_stub import Service, http, serving
from tests.integrations.services_kit import make_endpoint, make_integration

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _open(settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    settings.WEB_THREADS = 2


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        running.says(http(200, b"{}", content_type="application/json"))
        yield running


@pytest.fixture
def endpoint(alice: User, service: Service) -> Any:
    return make_endpoint(make_integration(alice, service.url), path="/issues", parameters={})


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


CALLS: dict[str, dict[str, Any]] = {
    "/endpoints/get-issue": {},
    "/call": {"path": "/issues"},
    "/test": {},
    "/rotate-credentials": {"credentials": {"token": "another-token"}},
}


@pytest.mark.parametrize("path", list(CALLS))
def test_a_call_beyond_the_places_is_refused_at_once(client: APIClient, endpoint: Any, service: Service, path: str) -> None:
    url = f"/api/v1/integrations/{endpoint.integration_id}{path}"
    with web_place():
        answer = client.post(url, CALLS[path], format="json")
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "too_many_calls", "1")
        assert "Try again" in answer.json()["message"]
        assert service.requests == []
        assert not RequestLog.objects.exists()
    answer = client.post(url, CALLS[path], format="json")
    assert (answer.status_code, len(service.requests)) == (200, 1), answer.content


def test_the_buttons_of_the_admin_say_so(admin_client: Client, endpoint: Any, service: Service) -> None:
    buttons = (f"endpoint/{endpoint.pk}/do/try/", f"integration/{endpoint.integration_id}/do/test/")
    for path in buttons:
        with web_place():
            page = admin_client.post(f"/admin/integrations/{path}", {"parameters": "{}"}, follow=True)
        assert (page.status_code, b"Try again in a moment" in page.content) == (200, True), path
    assert service.requests == []


def test_checks_in_the_background_take_no_place(endpoint: Any, service: Service) -> None:
    with web_place():
        assert run_check(endpoint.integration).ok


@pytest.mark.parametrize(("threads", "places"), [(1, 1), (2, 1), (5, 2), (8, 4)])
def test_half_of_the_threads_are_places(settings: Any, threads: int, places: int) -> None:
    settings.WEB_THREADS = threads
    with ExitStack() as held:
        for _ in range(places):
            held.enter_context(web_place())
        with pytest.raises(Unavailable), web_place():
            pass
    with web_place():
        pass


def test_a_call_that_fails_gives_its_place_back(client: APIClient, endpoint: Any, service: Service) -> None:
    service.says(http(404))
    url = f"/api/v1/integrations/{endpoint.integration_id}/call"
    assert [client.post(url, {"path": "/"}, format="json").status_code for _ in range(3)] == [502, 502, 502]


def test_threads_share_the_places(settings: Any) -> None:
    settings.WEB_THREADS = 8
    start, counted, got = threading.Barrier(10), threading.Barrier(10), []

    def take() -> None:
        start.wait(10)
        try:
            with web_place():
                got.append(True)
                counted.wait(10)
        except Unavailable:
            got.append(False)
            counted.wait(10)

    threads = [threading.Thread(target=take) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(got) == [False] * 6 + [True] * 4
