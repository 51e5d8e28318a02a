"""Pages of newest first."""

from __future__ import annotations

import uuid
from urllib.parse import parse_qs, urlparse

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from core.api.pagination import Cursor
from integrations.models import Repository
from tests.access.keys import client_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.sample_api")]


@pytest.fixture
def client() -> APIClient:
    return client_of(None, unlimited=True)


@pytest.fixture
def names() -> list[str]:
    """Create seven rows and return their names, newest first."""
    for number in range(7):
        Repository.objects.create(provider="github", full_name=f"o/{number}")
    return [f"o/{number}" for number in reversed(range(7))]


def page(client: APIClient, url: str) -> tuple[list[str], str | None, str | None]:
    answer = client.get(url)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert list(body) == ["results", "next", "previous"]
    return [row["full_name"] for row in body["results"]], body["next"], body["previous"]


def test_it_walks_forth_and_back_over_every_row_once(client: APIClient, names: list[str]) -> None:
    pages, url, previous = [], "/api/v1/samples?page_size=3", None
    while url:
        rows, url, previous = page(client, url)
        pages.append(rows)
    assert pages == [names[:3], names[3:6], names[6:]]
    back = []
    while previous:
        rows, _, previous = page(client, previous)
        back.append(rows)
    assert back == [names[3:6], names[:3]]


def test_the_first_page_has_no_previous_and_the_last_no_next(client: APIClient, names: list[str]) -> None:
    rows, following, previous = page(client, "/api/v1/samples?page_size=7")
    assert (rows, following, previous) == (names, None, None)


def test_a_page_stays_what_it_was_when_newer_rows_come(client: APIClient, names: list[str]) -> None:
    _, following, _ = page(client, "/api/v1/samples?page_size=3")
    Repository.objects.create(provider="github", full_name="o/new")
    assert following
    rows, _, previous = page(client, following)
    assert rows == names[3:6]
    assert previous
    assert page(client, previous)[0] == names[:3]


def test_links_keep_the_filters(client: APIClient, names: list[str]) -> None:
    _, following, _ = page(client, "/api/v1/samples?page_size=3&active=true")
    assert following
    assert {name: values[0] for name, values in parse_qs(urlparse(following).query).items() if name != "cursor"} == {
        "page_size": "3",
        "active": "true",
    }


@pytest.mark.parametrize("size", ["0", "201", "-1", "abc", "1.5", "", "99999999999999999999", "٣"])
def test_it_refuses_an_impossible_page_size(client: APIClient, size: str) -> None:
    answer = client.get("/api/v1/samples", {"page_size": size})
    assert answer.status_code == 400
    assert "1 to 200" in answer.json()["fields"]["page_size"][0]


def test_it_refuses_a_cursor_that_was_touched(client: APIClient, names: list[str]) -> None:
    _, following, _ = page(client, "/api/v1/samples?page_size=3")
    assert following
    cursor = parse_qs(urlparse(following).query)["cursor"][0]
    forged = [
        "x",
        "",
        cursor[:-1],
        cursor[:5] + ("A" if cursor[5] != "A" else "B") + cursor[6:],
        signing.dumps("text", salt="core.api.cursor"),
        signing.dumps([1, 2, 3], salt="core.api.cursor"),
        signing.dumps(["no id", False], salt="core.api.cursor"),
        signing.dumps([str(uuid.uuid4()), False], salt="another"),
    ]
    for text in forged:
        answer = client.get("/api/v1/samples", {"cursor": text})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), text


def test_a_cursor_survives_the_deletion_of_its_row(client: APIClient, names: list[str]) -> None:
    row = Repository.objects.get(full_name=names[2])
    row_id = row.id
    row.delete()
    rows, _, _ = page(client, f"/api/v1/samples?page_size=3&cursor={Cursor(row_id).pack()}")
    assert rows == names[3:6]


def test_a_page_costs_the_same_statements_however_many_rows(client: APIClient, names: list[str]) -> None:
    client.get("/api/v1/samples")
    counts = []
    for size in (1, 7):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(f"/api/v1/samples?page_size={size}")
        assert not any("COUNT" in query["sql"] for query in queries)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_an_action_lists_other_rows_with_their_own_filter(client: APIClient, names: list[str]) -> None:
    own = Repository.objects.get(full_name="o/0")
    base = f"/api/v1/samples/{own.id}/siblings"
    assert page(client, base)[0] == names[:-1]
    assert page(client, f"{base}?full_name=o/3")[0] == ["o/3"]
    assert client.get(f"{base}?active=perhaps").status_code in (200, 400)
    assert client.get(f"{base}?colour=red").status_code == 400
