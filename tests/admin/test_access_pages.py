"""Keys, people, settings and lockouts in the admin: shown once, limited to the role, audited."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access import keys
from access.models import ApiKey, AuditEntry
from core import runtime
from core.models import RuntimeSettings
from integrations.models import Repository
from tests.admin.conftest import make_key, make_webhook
from tests.factories import RepositoryFactory, owner_of

pytestmark = pytest.mark.once

KEY = {"name": "Jenkins", "owner": "", "environment": "live", "scopes": ["events:write"], "allowed_cidrs": "10.1.2.3/8\n\n2001:db8::/32"}


def _last(**conditions: Any) -> AuditEntry:
    return AuditEntry.objects.filter(**conditions).latest("id")


# --- API keys ---


def test_it_creates_a_key_and_shows_it_once(browser: Client) -> None:
    content = browser.post(reverse("admin:access_apikey_add"), KEY).content.decode()
    key = ApiKey.objects.get()
    text = next(word for word in content.replace('"', " ").split() if word.startswith(key.prefix) and len(word) > 40)
    assert keys.hash_of(text) == key.key_hash
    assert (key.scopes, key.allowed_cidrs, key.owner) == (["events:write"], ["10.0.0.0/8", "2001:db8::/32"], None)
    for url in (reverse("admin:access_apikey_changelist"), reverse("admin:access_apikey_change", args=[key.pk])):
        page = browser.get(url).content.decode()
        assert text not in page
        assert key.key_hash not in page
    assert _last(object_type="apikey").actor == "user admin"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("allowed_cidrs", "10.0.0.0/99", "is not a network"),
        ("scopes", ["rule:all"], "not one of the available choices"),
        ("scopes", [], "required"),
        ("rate_per_minute", "2000000", "must be from 1"),
        ("expires_at_0", "2001-01-01", "lies in the past"),
        ("owner", "user:nobody", "there is no user"),
    ],
)
def test_it_says_what_is_wrong_with_a_key(browser: Client, field: str, value: Any, words: str) -> None:
    extra = {"expires_at_1": "00:00"} if field == "expires_at_0" else {}
    response = browser.post(reverse("admin:access_apikey_add"), KEY | {field: value} | extra)
    assert response.status_code == 200
    assert words.lower() in response.content.decode().lower()
    assert not ApiKey.objects.exists()


def test_it_gives_an_integrator_no_more_than_it_has(alice: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(alice)
    url = reverse("admin:access_apikey_add")
    offered = [value for _, scopes in client.get(url).context["adminform"].form.fields["scopes"].choices for value, _ in scopes]
    assert "events:write" in offered
    assert "events:system" not in offered
    mine = KEY | {"owner": "user:alice"}
    assert client.post(url, mine | {"scopes": ["events:system"]}).status_code == 200
    assert "only an admin" in client.post(url, mine | {"rate_per_minute": "5000"}).content.decode()
    assert client.post(url, mine | {"owner": "team:other"}).status_code == 200
    assert not ApiKey.objects.exists()
    client.post(url, mine | {"unlimited": "on"})
    key = ApiKey.objects.get()
    assert (str(key.owner), key.unlimited) == ("user:alice", False)


def test_it_changes_rotates_and_revokes_a_key(alice: User, browser: Client) -> None:
    key = make_key(alice)
    url = reverse("admin:access_apikey_change", args=[key.pk])
    assert browser.post(url, KEY | {"name": "renamed", "rate_per_minute": "7"}).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.rate_per_minute, str(key.owner)) == ("renamed", 7, "user:alice")
    assert _last(object_type="apikey").changes["name"] == ["key", "renamed"]
    content = browser.post(reverse("admin:access_apikey_do", args=[key.pk, "rotate"]), {"overlap_hours": "3"}).content.decode()
    successor = ApiKey.objects.get(predecessor=key)
    assert f'value="{successor.prefix}' in content
    assert b"do/rotate/" not in browser.get(url).content
    browser.post(reverse("admin:access_apikey_do", args=[key.pk, "revoke"]))
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert browser.get(url).status_code == 200
    assert browser.post(url, KEY).status_code == 403
    assert b"revoked" in browser.get(reverse("admin:access_apikey_changelist")).content


def test_it_shows_how_a_key_is_used(things: SimpleNamespace, browser: Client) -> None:
    assert b"GET /api/v1/webhooks" in browser.get(reverse("admin:access_apikey_change", args=[things.key.pk])).content


# --- Repositories ---


def test_it_registers_changes_and_deletes_a_repository(browser: Client, alice: User) -> None:
    data = {"provider": "github", "full_name": "acme/shop", "default_branch": "main", "active": "on", "owner": "user:alice"}
    browser.post(reverse("admin:integrations_repository_add"), data)
    repository = Repository.objects.get()
    assert str(repository.owner) == "user:alice"
    again = browser.post(reverse("admin:integrations_repository_add"), data)
    assert "registered for this provider already" in again.content.decode()
    url = reverse("admin:integrations_repository_change", args=[repository.pk])
    assert "must be owner/name" in browser.post(url, data | {"full_name": "shop"}).content.decode().lower()
    browser.post(url, data | {"default_branch": "trunk"})
    assert _last(object_type="repository").changes == {"default_branch": ["main", "trunk"]}
    hook = make_webhook(repositories=[repository])
    delete = reverse("admin:integrations_repository_delete", args=[repository.pk])
    assert "still used" in browser.post(delete, {"post": "yes"}, follow=True).content.decode()
    hook.webhookrepository_set.all().delete()
    browser.post(delete, {"post": "yes"})
    assert not Repository.objects.exists()
    assert _last(object_type="repository").verb == "deleted"


def test_it_hides_the_repositories_of_others(charlie: User, things: SimpleNamespace, log_in: Callable[[User], Client]) -> None:
    RepositoryFactory(full_name="secret/plans")
    client = log_in(charlie)
    for url in ("admin:integrations_repository_changelist", "admin:webhooks_webhook_add"):
        content = client.get(reverse(url)).content.decode()
        assert "secret/plans" not in content
        assert things.repository.full_name not in content


# --- Settings ---


def _settings(**values: Any) -> dict[str, Any]:
    defaults = {name: getattr(RuntimeSettings(), name) for name in runtime.NAMES}
    return {name: "on" if value is True else value for name, value in (defaults | values).items() if value is not False}


def test_it_saves_settings_at_once_and_audits_them(browser: Client, django_capture_on_commit_callbacks: Any) -> None:
    runtime.forget()
    assert runtime.current().breaker_failures == 20
    url = reverse("admin:core_runtimesettings_change", args=[1])
    with django_capture_on_commit_callbacks(execute=True):
        assert browser.post(url, _settings(breaker_failures=5)).status_code == 302
    assert runtime.current().breaker_failures == 5
    assert _last(object_type="runtimesettings").changes == {"breaker_failures": [20, 5]}
    with django_capture_on_commit_callbacks(execute=True):
        browser.post(url, _settings(breaker_failures=6, log_request_bodies=False))
    assert not runtime.current().log_request_bodies
    assert _last(object_type="runtimesettings").changes == {"breaker_failures": [5, 6], "log_request_bodies": [True, False]}
    runtime.forget()


def test_where_only_admins_register_a_team_finds_no_button_for_it(
    browser: Client, alice: User, charlie: User, log_in: Callable[[User], Client]
) -> None:
    shop = RepositoryFactory(full_name="acme/shop", owner=owner_of(alice))
    add, change = reverse("admin:integrations_repository_add"), reverse("admin:integrations_repository_change", args=[shop.pk])
    team = log_in(alice)
    assert team.get(add).status_code == 200
    RuntimeSettings.objects.create(pk=1, teams_register_repositories=False)
    runtime.forget()
    assert (team.get(add).status_code, browser.get(add).status_code) == (403, 200)
    assert add not in team.get(reverse("admin:integrations_repository_changelist")).content.decode()
    asks = "Only admins register repositories here. Ask one"
    others = log_in(charlie)
    assert asks in others.get(reverse("admin:integrations_repository_changelist")).content.decode()
    assert "ask an admin to register your" in others.get(reverse("admin:index")).content.decode()
    delete = reverse("admin:integrations_repository_delete", args=[shop.pk])
    assert ["Only admins can register it again" in client.get(delete).content.decode() for client in (team, browser)] == [True, False]
    sent = {"full_name": "acme/payments", "provider": "gitlab", "default_branch": "trunk", "active": "on", "owner": "team:team-blue"}
    assert "Only admins rename repositories here." in team.get(change).content.decode()
    assert team.post(change, sent).status_code == 302
    shop.refresh_from_db()
    assert (shop.full_name, shop.provider, shop.default_branch) == ("acme/shop", "github", "trunk")
    assert shop.owner == owner_of(alice)


def test_it_refuses_settings_out_of_range(browser: Client) -> None:
    response = browser.post(reverse("admin:core_runtimesettings_change", args=[1]), _settings(request_timeout_seconds=500))
    assert "less than or equal to 30" in response.content.decode()
    assert not RuntimeSettings.objects.exists()


def test_it_lets_no_auditor_save_settings(auditor: User, log_in: Callable[[User], Client]) -> None:
    assert log_in(auditor).post(reverse("admin:core_runtimesettings_change", args=[1]), _settings()).status_code == 403
    listing = log_in(auditor).get(reverse("admin:core_runtimesettings_changelist"))
    assert listing.url == reverse("admin:core_runtimesettings_change", args=[1])


# --- People ---


def test_it_audits_users_and_their_groups(browser: Client, team: Group) -> None:
    data = {"username": "dora", "usable_password": "true", "password1": "correct horse battery", "password2": "correct horse battery"}
    browser.post(reverse("admin:auth_user_add"), data)
    dora = User.objects.get(username="dora")
    entry = _last(object_type="user")
    assert entry.verb == "created"
    assert "pbkdf2" not in str(entry.changes)
    assert "md5" not in str(entry.changes)
    url = reverse("admin:auth_user_change", args=[dora.pk])
    role = Group.objects.get(name="integrator")
    browser.post(url, {"username": "dora", "is_active": "on", "is_staff": "on", "groups": [role.pk, team.pk]})
    assert set(dora.groups.all()) == {role, team}
    assert _last(object_type="user").changes == {"is_staff": [False, True], "groups": [[], ["integrator", team.name]]}
    new = {"usable_password": "true", "password1": "another horse battery", "password2": "another horse battery"}
    assert browser.post(reverse("admin:auth_user_password_change", args=[dora.pk]), new).status_code == 302
    assert _last(object_type="user").action == "set-password"


def test_it_audits_ones_own_new_password(alice: User, log_in: Callable[[User], Client]) -> None:
    new = {"old_password": "correct horse battery", "new_password1": "another horse battery", "new_password2": "another horse battery"}
    client = log_in(alice)
    assert client.get(reverse("admin:password_change")).status_code == 200
    assert client.post(reverse("admin:password_change"), new | {"old_password": "wrong"}).status_code == 200
    assert not AuditEntry.objects.exists()
    assert client.post(reverse("admin:password_change"), new).status_code == 302
    assert (_last().action, _last().object_name) == ("set-password", "alice")


def test_it_deletes_users_that_own_nothing(browser: Client, alice: User, charlie: User) -> None:
    make_webhook(alice)
    browser.post(reverse("admin:auth_user_delete", args=[alice.pk]), {"post": "yes"})
    assert User.objects.filter(pk=alice.pk).exists()
    assert "still owns" in browser.get(reverse("admin:auth_user_change", args=[alice.pk])).content.decode()
    browser.post(reverse("admin:auth_user_delete", args=[charlie.pk]), {"post": "yes"})
    assert not User.objects.filter(pk=charlie.pk).exists()
    assert _last(object_type="user").verb == "deleted"


def test_it_keeps_roles_and_teams_apart(browser: Client, alice: User) -> None:
    browser.post(reverse("admin:auth_group_add"), {"name": "payments", "members": [alice.pk]})
    assert list(Group.objects.get(name="payments").user_set.all()) == [alice]
    assert _last(object_type="group").changes == {"name": [None, "payments"], "members": [None, ["alice"]]}
    assert "name of a role" in browser.post(reverse("admin:auth_group_add"), {"name": "Auditor"}).content.decode()
    role = Group.objects.get(name="auditor")
    browser.post(reverse("admin:auth_group_change", args=[role.pk]), {"name": "x"})
    browser.post(reverse("admin:auth_group_delete", args=[role.pk]), {"post": "yes"})
    assert Group.objects.filter(name="auditor").exists()
    permissions = role.permissions.count()
    browser.post(reverse("admin:auth_group_change", args=[role.pk]), {"name": "auditor", "members": []})
    assert role.permissions.count() == permissions > 0


def test_it_lets_a_locked_out_person_in_again(browser: Client) -> None:
    attempt = AccessAttempt.objects.create(
        username="mallory", ip_address="203.0.113.9", failures_since_start=5, attempt_time=timezone.now()
    )
    page = browser.get(reverse("admin:axes_accessattempt_change", args=[attempt.pk])).content.decode()
    assert "locked out" in page
    browser.post(reverse("admin:axes_accessattempt_do", args=[attempt.pk, "reset"]))
    assert not AccessAttempt.objects.exists()
    assert _last(object_type="accessattempt").action == "reset-lockout"


# --- The audit trail ---


def test_it_shows_what_changed(browser: Client, alice: User) -> None:
    make_webhook(alice, "shop")
    entry = _last(object_type="webhook")
    page = browser.get(reverse("admin:access_auditentry_change", args=[entry.pk])).content.decode()
    assert "user:alice" in page
    assert "https://example.com/hook" in page
    url = reverse("admin:access_auditentry_changelist")
    assert [row.pk for row in browser.get(url, {"q": entry.object_id}).context["cl"].result_list] == [entry.pk]
    assert browser.get(reverse("admin:webhooks_webhook_history", args=[entry.object_id])).url == f"{url}?q={entry.object_id}"


def test_it_finds_what_a_person_did(browser: Client, admin: User) -> None:
    browser.post(reverse("admin:auth_group_add"), {"name": "payments"})
    found = browser.get(reverse("admin:access_auditentry_changelist"), {"q": "admin"}).context["cl"].result_list
    assert [row.object_type for row in found] == ["group"]


def test_it_tells_a_user_without_a_role_whom_to_ask(db: None, log_in: Callable[[User], Client]) -> None:
    user = User.objects.create_user("newbie", is_staff=True)
    assert "have no role yet" in log_in(user).get(reverse("admin:index")).content.decode()


def test_it_shows_first_steps_until_they_are_done(
    browser: Client, things: SimpleNamespace, charlie: User, log_in: Callable[[User], Client]
) -> None:
    assert "First steps" in log_in(charlie).get(reverse("admin:index")).content.decode()
    assert "First steps" not in browser.get(reverse("admin:index")).content.decode()


def test_it_hides_from_the_side_bar_what_a_role_may_not_see(alice: User, log_in: Callable[[User], Client]) -> None:
    page = log_in(alice).get(reverse("admin:index")).content.decode()
    assert reverse("admin:webhooks_webhook_changelist") in page
    for name in ("core_runtimesettings", "core_worker", "auth_user"):
        assert reverse(f"admin:{name}_changelist") not in page


def test_it_loads_nothing_from_other_hosts(browser: Client) -> None:
    response = browser.get(reverse("admin:index"))
    assert 'src="http' not in response.content.decode()
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
