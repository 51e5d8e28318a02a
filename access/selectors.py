"""Reading, scoped: `visible` is the one place that decides which rows a principal sees."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from access.models import ApiKey
from access.principals import Principal, of_key, of_user, principal

M = TypeVar("M", bound=Model)
__all__ = ["Principal", "of_key", "of_user", "principal", "visible", "with_owner"]


def visible(queryset: QuerySet[M], who: Principal, *, path: str = "owner_id") -> QuerySet[M]:
    """Return the rows of `queryset` that `who` sees: all for admins and auditors, else those of its own owners.

    `path` is the way to the owner's column, such as `webhook__owner_id`, for rows without one of their own. Ownerless rows
    are the admins'.
    """
    if who.sees_all:
        return queryset
    return queryset.filter(**{f"{path}__in": who.owner_ids}) if who.owner_ids else queryset.none()


def with_owner(queryset: QuerySet[M]) -> QuerySet[M]:
    """Load each row's owner with its user and team, for `owner_label`, in the same statement."""
    return queryset.select_related("owner__user", "owner__team")


def keys_for_use() -> QuerySet[ApiKey]:
    """Return the keys with all that authentication looks at."""
    return ApiKey.objects.select_related("owner__user", "owner__team")
