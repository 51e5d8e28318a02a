"""manage.py createapikey."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.utils import timezone

from access.models import ApiKey, AuditEntry
from tests.access.keys import client_with

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("createapikey", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().split()[-1]


def made(*arguments: str) -> ApiKey:
    text = run("--name", "ci", *arguments)
    return ApiKey.objects.get(prefix=text[:16])


def test_the_last_word_is_a_key_that_works() -> None:
    assert client_with(run("--name", "ci")).get("/api/v1/api-keys").status_code == 200


def test_names_may_repeat() -> None:
    assert made().name == made().name


def test_by_default_it_is_the_admins_with_all_scopes() -> None:
    key = made()
    assert (key.owner, key.scopes, key.unlimited, key.rate_per_minute, key.expires_at) == (None, ["all"], False, None, None)


def test_its_options(alice: User) -> None:
    key = made(
        "--owner=alice",
        "--scopes=webhooks:read, events:write",
        "--rate=7",
        "--expires-days=2",
        "--cidr=10.0.0.0/8",
        "--cidr=192.0.2.0/24,198.51.100.0/24",
        "--environment=test",
    )
    assert str(key.owner) == "user:alice"
    assert key.scopes == ["events:write", "webhooks:read"]
    assert (key.rate_per_minute, key.environment) == (7, "test")
    assert key.allowed_cidrs == ["10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24"]
    assert key.expires_at is not None
    assert timedelta(days=1.9) < key.expires_at - timezone.now() <= timedelta(days=2)


def test_a_key_without_a_rate() -> None:
    assert made("--rate=none").unlimited


def test_events_system_is_given_only_when_named() -> None:
    assert made("--scopes=all").scopes == ["all"]
    assert made("--scopes=all,events:system").scopes == ["all", "events:system"]


def test_an_owner_may_be_a_team(team: Group) -> None:
    assert str(made(f"--owner={team.name}").owner) == f"team:{team.name}"


def test_a_name_of_both_kinds_must_be_told_apart(alice: User) -> None:
    Group.objects.create(name="alice")
    with pytest.raises(CommandError, match="user:alice or team:alice"):
        made("--owner=alice")
    assert str(made("--owner=user:alice").owner) == "user:alice"
    assert str(made("--owner=team:alice").owner) == "team:alice"


def test_the_user_admin_is_not_mixed_up_with_the_role(admin: User) -> None:
    assert str(made("--owner=admin").owner) == "user:admin"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--owner=nobody"], "there is no user or team named 'nobody'"),
        (["--owner=team:nobody"], "there is no team named 'nobody'"),
        (["--owner=auditor"], "no user or team"),
        (["--scopes=webhooks:fly"], "webhooks:fly: unknown"),
        (["--scopes="], "at least one"),
        (["--rate=fast"], "--rate"),
        (["--rate=0"], "rate_per_minute"),
        (["--expires-days=-1"], "--expires-days"),
        (["--expires-days=nan"], "--expires-days"),
        (["--cidr=x"], "allowed_cidrs"),
        (["--name= "], "name"),
    ],
)
def test_mistakes_are_named_and_make_no_key(arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        made(*arguments)
    assert not ApiKey.objects.exists()


def test_it_is_in_the_audit_trail() -> None:
    key = made()
    entry: Any = AuditEntry.objects.get(object_id=str(key.id))
    assert (entry.actor_kind, entry.actor, entry.verb) == ("command", "command createapikey", "created")
