"""Query parameters of the repository routes."""

from __future__ import annotations

import django_filters

from integrations.choices import Provider
from integrations.models import Repository


class RepositoryFilter(django_filters.FilterSet):
    """By provider, by name as the provider spells it, and by whether it is active."""

    provider = django_filters.ChoiceFilter(choices=Provider.choices)
    full_name = django_filters.CharFilter(max_length=255, label="owner/name, in full.")
    active = django_filters.BooleanFilter()

    class Meta:
        model = Repository
        fields: list[str] = []
