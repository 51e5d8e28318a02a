"""What uses an integration: a link and a number for each kind, on its page. Rooms that are built on this one add theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet

from access.admin_base import show
from access.principals import Principal
from integrations.models import Endpoint, Integration

# nobody needs a larger number exactly, and no page should count for it
MOST = 100


@dataclass(frozen=True)
class Use:
    """How many rows use an integration: `shown` is the number, or "100+", and `url` leads to their list."""

    shown: str
    word: str
    url: str


Counted = Callable[[Integration, Principal], Use]
_COUNTED: list[Counted] = []


def add(counted: Counted) -> Counted:
    """Have one more kind counted; a decorator."""
    _COUNTED.append(counted)
    return counted


def uses_of(integration: Integration, who: Principal) -> list[Use]:
    """Return what uses an integration, as far as `who` sees it: one bounded statement a kind."""
    return [counted(integration, who) for counted in _COUNTED]


def counted_use(rows: QuerySet[Any], model: type[Model], integration: Integration, one: str, many: str) -> Use:
    """Return the use of an integration by rows that are listed by a model's page with a filter `integration`."""
    number = rows.order_by().values("pk")[: MOST + 1].count()
    url = f"{show.admin_url(model, 'changelist')}?integration={integration.pk}"
    return Use(str(number) if number <= MOST else f"{MOST}+", one if number == 1 else many, url)


@add
def _endpoints(integration: Integration, who: Principal) -> Use:
    rows = Endpoint.objects.filter(integration=integration)
    return counted_use(rows, Endpoint, integration, "endpoint that teams call", "endpoints that teams call")
