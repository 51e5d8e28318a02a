"""Reading templates: everybody sees public ones, and their own."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from access.principals import Principal
from access.selectors import with_owner
from templates_app.models import IntegrationTemplate


def all_templates() -> QuerySet[IntegrationTemplate]:
    """Return every template with its owner loaded."""
    return with_owner(IntegrationTemplate.objects.all())


def usable(queryset: QuerySet[IntegrationTemplate], who: Principal) -> QuerySet[IntegrationTemplate]:
    """Return those that `who` may see and use: public ones, and those of its own owners."""
    return queryset if who.sees_all else queryset.filter(Q(is_public=True) | Q(owner_id__in=who.owner_ids))
