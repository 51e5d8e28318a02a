"""Owners: a user or a team (any Django group that is not a role), as `user:alice` and `team:payments`."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import Group, User

from access.principals import ROLE_NAMES, Principal
from core.errors import InvalidInput, NotAllowed
from core.models import Owner


def owner_for_user(user: User) -> Owner:
    """Return the Owner row of a user; written at its first use."""
    return Owner.objects.get_or_create(user=user)[0]


def owner_for_team(team: Group) -> Owner:
    """Return the Owner row of a team; written at its first use. Raises InvalidInput for a role."""
    if team.name in ROLE_NAMES:
        raise InvalidInput.of("owner", f"{team.name} is a role, not a team.")
    return Owner.objects.get_or_create(team=team)[0]


def owner_label(owner: Owner | None) -> str | None:
    """Return `user:<name>` or `team:<name>`, or None for the admins; load the owner's user and team with it."""
    return None if owner is None else str(owner)


def find_owner(text: str) -> Owner:
    """Return the owner of a name, with or without its kind; raises InvalidInput for an unknown or ambiguous one."""
    kind, separator, name = text.partition(":")
    if not separator or kind not in ("user", "team"):
        kind, name = "", text
    user = User.objects.filter(username=name).first() if kind != "team" else None
    team = Group.objects.exclude(name__in=ROLE_NAMES).filter(name=name).first() if kind != "user" else None
    if user and team:
        raise InvalidInput.of("owner", f"{name} is both a user and a team; say user:{name} or team:{name}.")
    if user:
        return owner_for_user(user)
    if team:
        return owner_for_team(team)
    raise InvalidInput.of("owner", f"there is no {kind or 'user or team'} named {name[:100]!r}.", code="unknown_owner")


def resolve_owner(text: str | None, principal: Principal) -> uuid.UUID | None:
    """Return the owner id for an `owner` field of the API.

    None means the admins, which only admins may say. Others may name themselves and their teams; anybody else's name is
    answered alike whether it exists or not. Raises InvalidInput and NotAllowed.
    """
    if text is None:
        if principal.is_admin:
            return None
        raise NotAllowed("owner: only an admin may create or change objects of the admins; name yourself or one of your teams.")
    if principal.is_admin:
        return find_owner(text).id
    candidates = {str(owner): owner for owner in Owner.objects.filter(id__in=principal.owner_ids).select_related("user", "team")}
    matches = [owner for label, owner in candidates.items() if text in (label, label.partition(":")[2])]
    if len(matches) == 1:
        return matches[0].id
    known = ", ".join(sorted(candidates))
    raise InvalidInput.of(
        "owner", f"must be you or one of your teams ({known})." if known else "you own nothing yet.", code="unknown_owner"
    )
