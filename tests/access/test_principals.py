"""On whose behalf a caller acts, and what it sees."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import FieldError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access import owners, roles, selectors
from access.choices import Role
from access.models import ApiKey, ApiUsage
from access.principals import NOBODY, SYSTEM, Principal, of_user
from access.scopes import ALL_SCOPES, READING_SCOPES, SCOPES
from core.errors import InvalidInput, NotAllowed
from core.models import Owner
from integrations.models import Repository
from tests.access.keys import make_key

pytestmark = pytest.mark.django_db


def of_key(owner: User | Group | None, *scopes: str) -> Principal:
    key, _ = make_key(owner, *scopes)
    return selectors.of_key(selectors.keys_for_use().get(id=key.id))


def test_an_ownerless_key_acts_for_the_admins() -> None:
    who = of_key(None)
    assert (who.is_admin, who.default_owner_id, who.scopes) == (True, None, ALL_SCOPES)


def test_an_integrators_key_is_limited_to_own_and_team_rows(alice: User, team: Group) -> None:
    shared = owners.owner_for_team(team)
    who = of_key(alice)
    mine = Owner.objects.get(user=alice)
    assert (who.sees_all, who.may_write) == (False, True)
    assert who.owner_ids == {mine.id, shared.id}
    assert who.default_owner_id == mine.id
    assert who.owns(shared.id)
    assert not who.owns(None)


def test_a_teams_key_acts_for_the_team_only(alice: User, team: Group) -> None:
    owners.owner_for_user(alice)
    who = of_key(team)
    assert who.owner_ids == {owners.owner_for_team(team).id} == {who.default_owner_id}
    assert not who.sees_all


def test_an_auditors_key_reads_everything_and_writes_nothing(auditor: User) -> None:
    who = of_key(auditor)
    assert (who.sees_all, who.may_write) == (True, False)
    assert who.scopes == ALL_SCOPES & READING_SCOPES


def test_a_key_never_exceeds_its_own_scopes_nor_its_owners_role(admin: User, auditor: User) -> None:
    assert of_key(admin, "webhooks:read").scopes == {"webhooks:read"}
    assert of_key(auditor, "webhooks:write", "events:system", "webhooks:read").scopes == {"webhooks:read"}


def test_a_user_without_a_role_has_their_own_rows_by_key() -> None:
    user = User.objects.create_user("dora")
    who = of_key(user)
    assert (who.sees_all, who.may_write, who.owner_ids) == (False, True, {Owner.objects.get(user=user).id})


@pytest.mark.parametrize(
    ("groups", "superuser", "sees_all", "may_write"),
    [
        (["integrator"], False, False, True),
        (["auditor"], False, True, False),
        (["auditor", "integrator"], False, True, False),
        (["admin", "auditor"], False, True, True),
        (["auditor"], True, True, True),
        ([], True, True, True),
        ([], False, False, True),
    ],
)
def test_of_several_roles_the_strongest_counts(groups: list[str], superuser: bool, sees_all: bool, may_write: bool) -> None:
    user = User.objects.create_user("dora", is_superuser=superuser)
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in groups])
    who = of_user(user)
    assert (who.sees_all, who.may_write) == (sees_all, may_write)


def test_a_role_is_no_team(alice: User) -> None:
    role = Owner.objects.create(team=Group.objects.get(name="integrator"))
    assert role.id not in of_user(alice).owner_ids


def test_sessions(admin: User, alice: User) -> None:
    assert of_user(admin).scopes == SCOPES
    assert of_user(admin).default_owner_id is None
    assert of_user(alice).scopes == ALL_SCOPES
    assert of_user(AnonymousUser()) == NOBODY
    alice.is_active = False
    assert of_user(alice) == NOBODY


def test_visible_rows(alice: User, charlie: User, auditor: User) -> None:
    mine = Repository.objects.create(provider="github", full_name="a/1", owner=owners.owner_for_user(alice))
    none = Repository.objects.create(provider="github", full_name="a/2")
    rows = Repository.objects.order_by("id")
    assert list(selectors.visible(rows, of_user(alice))) == [mine]
    assert list(selectors.visible(rows, of_user(charlie))) == []
    assert list(selectors.visible(rows, NOBODY)) == []
    for who in (SYSTEM, of_user(auditor), of_key(None)):
        assert list(selectors.visible(rows, who)) == [mine, none]


def test_rows_may_be_visible_by_what_they_belong_to(alice: User, charlie: User) -> None:
    key, _ = make_key(alice)
    ApiUsage.objects.create(key=key, day="2026-01-01", route="GET /")
    rows = ApiUsage.objects.all()
    assert selectors.visible(rows, of_user(alice), path="key__owner_id").count() == 1
    assert selectors.visible(rows, of_user(charlie), path="key__owner_id").count() == 0
    with pytest.raises(FieldError):
        selectors.visible(rows, of_user(alice))


def test_labels_cost_no_statement_of_their_own(alice: User, team: Group) -> None:
    for owner in (None, alice, team):
        make_key(owner)
    with CaptureQueriesContext(connection) as queries:
        labels = {owners.owner_label(key.owner) for key in selectors.with_owner(ApiKey.objects.all())}
    assert labels == {None, "user:alice", f"team:{team.name}"}
    assert len(queries) == 1


class TestNames:
    def test_an_admin_may_name_anybody(self, alice: User, team: Group) -> None:
        assert owners.resolve_owner("alice", SYSTEM) == owners.owner_for_user(alice).id
        assert owners.resolve_owner(f"team:{team.name}", SYSTEM) == owners.owner_for_team(team).id
        assert owners.resolve_owner(None, SYSTEM) is None

    def test_others_name_themselves_and_their_teams(self, alice: User, team: Group) -> None:
        shared = owners.owner_for_team(team)
        who = of_user(alice)
        assert owners.resolve_owner("user:alice", who) == who.default_owner_id == owners.resolve_owner("alice", who)
        assert owners.resolve_owner(team.name, who) == shared.id
        with pytest.raises(NotAllowed):
            owners.resolve_owner(None, who)

    def test_other_names_are_answered_alike_whether_they_exist_or_not(self, alice: User, charlie: User) -> None:
        who = of_user(alice)
        sentences = set()
        for name in ("charlie", "user:charlie", "user:nobody", "team:nobody", ""):
            with pytest.raises(InvalidInput) as caught:
                owners.resolve_owner(name, who)
            sentences.add(caught.value.message)
        assert len(sentences) == 1

    def test_a_role_owns_nothing(self) -> None:
        with pytest.raises(InvalidInput, match="role"):
            owners.owner_for_team(Group.objects.get_or_create(name="auditor")[0])


class TestRoles:
    def test_they_exist_after_a_migrate(self) -> None:
        assert set(Group.objects.filter(name__in=Role.values).values_list("name", flat=True)) == set(Role.values)

    def test_making_them_again_changes_nothing(self) -> None:
        roles.ensure_roles()
        before = sorted(Group.objects.values_list("name", "permissions__id"))
        roles.ensure_roles()
        assert sorted(Group.objects.values_list("name", "permissions__id")) == before

    def test_what_they_may_do_in_the_admin(self, admin: User, alice: User, auditor: User) -> None:
        roles.ensure_roles()
        admin.is_superuser = False
        admin.save()
        assert admin.has_perms(["webhooks.change_webhook", "auth.change_user", "core.change_runtimesettings"])
        assert alice.has_perms(["webhooks.change_webhook", "access.add_apikey", "webhooks.view_webhookdelivery"])
        assert not alice.has_perm("auth.view_user")
        assert not alice.has_perm("core.change_runtimesettings")
        assert not alice.has_perm("access.change_auditentry")
        assert auditor.has_perms(["webhooks.view_webhook", "access.view_auditentry", "core.view_event"])
        assert not any(".view_" not in permission for permission in auditor.get_all_permissions())


def test_a_team_that_owns_nothing_yet_can_be_named_by_its_members(alice: User) -> None:
    owner_ids = of_user(alice).owner_ids
    assert Owner.objects.get(team__name="team-blue").id in owner_ids
