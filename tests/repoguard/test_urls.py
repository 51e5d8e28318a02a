"""Paths and methods that no route is for."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_probes_are_only_read(path: str, method: str) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, path)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert Client().head(path).status_code == 200


@pytest.mark.parametrize("path", ["//evil/api/v1/webhooks", "//evil/api/x", "/other/api/v1/webhooks", "/api/nothing"])
def test_a_lost_api_path_is_a_json_404(path: str) -> None:
    answer = Client().get("http://testserver" + path) if not path.startswith("//") else Client().get("/x", PATH_INFO=path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
    assert set(answer.json()) == {"code", "message", "fields", "request_id"}


def test_a_lost_page_is_a_page(browser: Client) -> None:
    for path in ("/nothing", "/admin/nothing/api/x/"):
        answer = browser.get(path)
        assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (404, "text/html"), path


@pytest.mark.parametrize("path", ["/", "/admin/", "/livez", "/nothing"])
def test_a_host_that_is_not_served_is_told_the_setting(path: str) -> None:
    answer = Client(headers={"host": "evil.example"}).get(path)
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain")
    assert "the setting ALLOWED_HOSTS lists" in answer.content.decode()
