from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from access.principals import of_user
from core.errors import Conflict, InvalidInput
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_id, repositories_by_reference
from integrations.services.repositories import create_repository, update_repository
from tests.factories import RepositoryFactory, owner_of

pytestmark = pytest.mark.django_db


def test_it_names_what_is_missing() -> None:
    with pytest.raises(InvalidInput) as caught:
        create_repository({"default_branch": "main"})
    assert set(caught.value.fields) == {"provider", "full_name"}


def test_a_repository_deleted_meanwhile_is_a_conflict() -> None:
    shop = RepositoryFactory()
    Repository.objects.all().delete()
    with pytest.raises(Conflict, match="deleted meanwhile"):
        update_repository(shop, {"active": False})


def test_a_reference_is_an_id_or_a_name(alice: User, charlie: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice))
    long_name = RepositoryFactory(owner=owner_of(alice), full_name="acme/" + "x" * 40)
    theirs = RepositoryFactory(owner=owner_of(charlie))
    wanted = [str(shop.id), shop.full_name, long_name.full_name, str(theirs.id), theirs.full_name, "no/such"]
    found = repositories_by_reference(wanted, of_user(alice))
    assert [found[reference] for reference in wanted] == [[shop], [shop], [long_name], [], [], []]
    assert repositories_by_id([shop.id, theirs.id], of_user(alice)) == [shop]


def test_nothing_asked_costs_nothing(alice: User, django_assert_num_queries: object) -> None:
    who = of_user(alice)
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert repositories_by_reference([], who) == {}
        assert repositories_by_id([], who) == []
