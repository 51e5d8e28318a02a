"""Every endpoint as every role and as another owner. Routes are taken from the API itself, so a new one is covered at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from rest_framework.test import APIClient

from access.owners import owner_for_user
from core.api.viewsets import READING
from repoguard import api_v1
from tests.access.keys import client_of
from tests.access.matrix_rows import NAME, QUERIES, ROWS, SHARED

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SECRET = re.compile(r"whsec_|rg_(live|test)_\w{8}_\w+")


@dataclass(frozen=True)
class Endpoint:
    """A method of a route; `resource` is the beginning of its path that names one."""

    resource: str
    path: str
    method: str
    action: str
    view: Any

    @property
    def detail(self) -> bool:
        return "<str:id>" in self.path

    @property
    def reads(self) -> bool:
        return self.method.upper() in READING

    @property
    def scope(self) -> str:
        return str(self.view.scope_for(self.action, self.method.upper()))

    def call(self, client: Client | APIClient, row_id: Any) -> Any:
        path = f"/api/v1/{self.path.replace('<str:id>', str(row_id)).replace('<str:name>', NAME).replace('<str:number>', '1')}"
        if self.reads:
            return client.generic(self.method.upper(), path, QUERY_STRING=QUERIES.get(self.path, "").format(id=row_id))
        return client.generic(self.method.upper(), path, b"{}", content_type="application/json")

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


def endpoints() -> list[Endpoint]:
    found = []
    for route in api_v1.routes():
        view, actions = getattr(route.callback, "cls", None), getattr(route.callback, "actions", None)
        if actions is None:
            continue
        path = str(route.pattern)
        resource = next((name for name in api_v1.RESOURCES if path == name or path.startswith(f"{name}/")), path.split("/")[0])
        found += [Endpoint(resource, path, method, action, view) for method, action in actions.items() if method != "head"]
    return found


ALL = endpoints()
DETAILS = [endpoint for endpoint in ALL if endpoint.detail and endpoint.resource not in SHARED]
LISTS = [endpoint for endpoint in ALL if endpoint.action == "list" and endpoint.resource not in SHARED]
by_name = pytest.mark.parametrize


@pytest.fixture
def row(request: pytest.FixtureRequest, alice: User) -> Any:
    """Return alice's row of the endpoint's resource."""
    endpoint: Endpoint = request.getfixturevalue("endpoint")
    if endpoint.resource in SHARED:
        return None
    return ROWS[endpoint.resource](owner_for_user(alice))


def id_of(endpoint: Endpoint, row: Any) -> Any:
    return SHARED[endpoint.resource] if row is None else row.pk


def session(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_every_resource_has_a_row_for_this_matrix() -> None:
    assert set(api_v1.RESOURCES) == set(ROWS) | set(SHARED), "add a line for the new resource to tests/access/matrix_rows.py"


def test_every_view_names_its_scope() -> None:
    for endpoint in ALL:
        assert re.fullmatch(r"[a-z-]+:(read|write)", endpoint.scope), endpoint


@by_name("endpoint", ALL, ids=str)
def test_nobody_gets_in_without_a_key(endpoint: Endpoint, row: Any) -> None:
    assert endpoint.call(APIClient(), id_of(endpoint, row)).status_code == 401
    assert endpoint.call(APIClient(headers={"Authorization": "Bearer rg_live_nosuchke_x"}), id_of(endpoint, row)).status_code == 401


@by_name("endpoint", ALL, ids=str)
def test_a_key_without_the_scope_is_refused(endpoint: Endpoint, alice: User, row: Any) -> None:
    other = "findings:read" if endpoint.scope != "findings:read" else "policies:read"
    resource, _, verb = endpoint.scope.partition(":")
    counterpart = f"{resource}:{'write' if verb == 'read' else 'read'}"
    for scope in (other, counterpart):
        if scope in ("audit-log:write", "event-types:write"):
            continue
        answer = endpoint.call(client_of(alice, scope), id_of(endpoint, row))
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        assert endpoint.scope in answer.json()["message"]


@by_name("endpoint", [endpoint for endpoint in ALL if not endpoint.reads], ids=str)
def test_an_auditor_changes_nothing(endpoint: Endpoint, auditor: User, row: Any) -> None:
    for client in (client_of(auditor), session(auditor)):
        answer = endpoint.call(client, id_of(endpoint, row))
        assert answer.status_code == 403
        assert "auditor" in answer.json()["message"]


@by_name("endpoint", [endpoint for endpoint in ALL if endpoint.reads], ids=str)
def test_an_auditor_reads_everything_but_secrets(endpoint: Endpoint, auditor: User, row: Any) -> None:
    for client in (client_of(auditor), session(auditor)):
        answer = endpoint.call(client, id_of(endpoint, row))
        assert answer.status_code == 200
        assert not SECRET.search(answer.getvalue().decode())


@by_name("endpoint", DETAILS, ids=str)
def test_a_stranger_does_not_learn_that_it_exists(endpoint: Endpoint, charlie: User, bob: User, team: Group, row: Any) -> None:
    before = type(row).objects.filter(pk=row.pk).values().get()
    for client in (client_of(charlie), client_of(bob), client_of(team), session(charlie)):
        answer = endpoint.call(client, row.pk)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert type(row).objects.filter(pk=row.pk).values().get() == before


@by_name("endpoint", LISTS, ids=str)
def test_a_strangers_list_leaves_it_out(endpoint: Endpoint, charlie: User, row: Any) -> None:
    for client in (client_of(charlie), session(charlie)):
        answer = endpoint.call(client, row.pk)
        assert answer.status_code == 200
        assert str(row.pk) not in answer.content.decode()


@by_name("endpoint", LISTS, ids=str)
def test_its_owner_an_admin_and_an_auditor_find_it_listed(endpoint: Endpoint, alice: User, admin: User, auditor: User, row: Any) -> None:
    for client in (client_of(alice), session(alice), client_of(admin), session(admin), client_of(None), client_of(auditor)):
        assert str(row.pk) in endpoint.call(client, row.pk).content.decode()


@by_name("endpoint", DETAILS, ids=str)
@by_name("caller", ["alice", "alice's session", "admin", "admin's session", "the admins' key"])
def test_its_owner_and_an_admin_get_through(endpoint: Endpoint, caller: str, alice: User, admin: User, row: Any) -> None:
    makers = {
        "alice": lambda: client_of(alice),
        "alice's session": lambda: session(alice),
        "admin": lambda: client_of(admin),
        "admin's session": lambda: session(admin),
        "the admins' key": lambda: client_of(None),
    }
    answer = endpoint.call(makers[caller](), row.pk)
    assert answer.status_code < 500
    assert answer.status_code not in (401, 403, 404, 405), answer.content
    if endpoint.reads:
        assert answer.status_code == 200
        assert not SECRET.search(answer.getvalue().decode())


@by_name("endpoint", [endpoint for endpoint in ALL if not endpoint.detail], ids=str)
def test_a_user_without_a_role_sees_and_makes_only_their_own(endpoint: Endpoint, row: Any) -> None:
    dora = User.objects.create_user("dora")
    answer = endpoint.call(client_of(dora), None)
    assert answer.status_code in (200, 201, 202, 400) or endpoint.action == "latest"
    if row is not None:
        assert str(row.pk) not in answer.content.decode()
    assert endpoint.call(session(dora), None).status_code == 401
