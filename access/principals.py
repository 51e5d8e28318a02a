"""Principal: on whose behalf a request or an admin page acts, what it sees and may change.

Roles are Django groups. A superuser is an admin. Somebody in several roles is an admin before an auditor, and an auditor
before anything else: an auditor writes nothing. Everybody else is limited to what they and their teams own. Without any
role a user gets that much through API keys, but nothing in the admin site, whose permissions come with the roles. A team's
key acts for that team. A key without an owner acts for the admins. No key exceeds its owner's role.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest
from rest_framework.request import Request

from access.choices import Role
from access.models import ApiKey
from access.scopes import ALL_SCOPES, READING_SCOPES, SCOPES, granted
from core.models import Owner

ROLE_NAMES = frozenset(Role.values)
_ATTRIBUTE = "_access_principal"


@dataclass(frozen=True)
class Principal:
    """`owner_ids` are the owners it acts for; `sees_all` and `may_write` come from the role, `scopes` also from the `key`, if any."""

    kind: str
    label: str
    sees_all: bool = False
    may_write: bool = False
    owner_ids: frozenset[uuid.UUID] = field(default_factory=frozenset)
    default_owner_id: uuid.UUID | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    role: str = ""
    key: ApiKey | None = None

    @property
    def is_admin(self) -> bool:
        """Say whether it sees and changes everything."""
        return self.sees_all and self.may_write

    def owns(self, owner_id: uuid.UUID | None) -> bool:
        """Say whether objects of this owner are visible to it."""
        return self.sees_all or owner_id in self.owner_ids


NOBODY = Principal("anonymous", "anonymous")
SYSTEM = Principal("system", "system", sees_all=True, may_write=True, scopes=SCOPES, role=Role.ADMIN)


class KeyUser(AnonymousUser):
    """What request.user is for a key that belongs to a team or to nobody: authenticated, but no user."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__()
        self.key = key

    @property
    def is_authenticated(self) -> bool:  # type: ignore[override]
        """Say yes: the key is valid."""
        return True

    @property
    def is_anonymous(self) -> bool:  # type: ignore[override]
        """Say no."""
        return False

    def __str__(self) -> str:
        return f"key {self.key.name}"


def principal(request: Request | HttpRequest) -> Principal:
    """Return on whose behalf a request acts; worked out once a request."""
    http_request: Any = getattr(request, "_request", request)
    key = getattr(request, "auth", None)
    user = request.user
    known: tuple[Any, Principal] | None = getattr(http_request, _ATTRIBUTE, None)
    identity = key if isinstance(key, ApiKey) else getattr(user, "pk", None)
    if known is not None and known[0] == identity:
        return known[1]
    found = of_key(key) if isinstance(key, ApiKey) else of_user(user)
    setattr(http_request, _ATTRIBUTE, (identity, found))
    return found


def of_user(user: AbstractBaseUser | AnonymousUser | Any) -> Principal:
    """Return the principal of an admin session: two statements. What an admin creates belongs to the admins."""
    if not isinstance(user, User) or not user.is_active:
        return NOBODY
    role, team_ids = _groups(user)
    if role == Role.ADMIN:
        return _build("user", user.get_username(), role, frozenset(), None, SCOPES)
    own = Owner.objects.get_or_create(user=user)[0].id
    return _build("user", user.get_username(), role, frozenset([*team_ids, own]), own, ALL_SCOPES)


def of_key(key: ApiKey) -> Principal:
    """Return the principal of a key, whose owner, user and team must be loaded: one statement, none without a user."""
    owner, scopes = key.owner, granted(key.scopes)
    if owner is None:
        return _build("key", str(key), Role.ADMIN, frozenset(), None, scopes, key)
    if owner.user is None:
        return _build("key", str(key), Role.INTEGRATOR, frozenset([owner.id]), owner.id, scopes, key)
    role, team_ids = _groups(owner.user)
    return _build("key", str(key), role, frozenset([*team_ids, owner.id]), owner.id, scopes, key)


def _build(
    kind: str,
    label: str,
    role: str,
    owner_ids: frozenset[uuid.UUID],
    default: uuid.UUID | None,
    scopes: frozenset[str],
    key: ApiKey | None = None,
) -> Principal:
    sees_all, may_write = role in (Role.ADMIN, Role.AUDITOR), role != Role.AUDITOR
    allowed = scopes if may_write else scopes & READING_SCOPES
    return Principal(kind, label, sees_all, may_write, owner_ids, default, allowed, role, key)


def _groups(user: User) -> tuple[str, list[uuid.UUID]]:
    """Return the user's role (integrator without any) and the owners of their teams."""
    rows = list(user.groups.values_list("id", "name", "owner__id"))
    names = {name for _, name, _ in rows}
    # a team that owns nothing yet gets its row here, so that its members can name it
    teams = [(id, owner_id) for id, name, owner_id in rows if name not in ROLE_NAMES]
    team_ids = [owner_id or Owner.objects.get_or_create(team_id=id)[0].id for id, owner_id in teams]
    if user.is_superuser or Role.ADMIN in names:
        return Role.ADMIN, team_ids
    return (Role.AUDITOR if Role.AUDITOR in names else Role.INTEGRATOR), team_ids
