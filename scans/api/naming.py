"""Which repository a query parameter names."""

from __future__ import annotations

from rest_framework.request import Request

from access.principals import principal
from core.errors import InvalidInput
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_reference
from integrations.services.repositories import how_to_register


def named_repository(request: Request, reference: str) -> Repository:
    """Return the repository of the caller's that an id or a full name means; raises InvalidInput on `repository`."""
    if not reference:
        raise InvalidInput.of("repository", "must be given: the id or full name (owner/name) of the repository.")
    who = principal(request)
    found = repositories_by_reference([reference], who)[reference]
    if not found:
        raise InvalidInput.of("repository", f"is not known here; {how_to_register(who)}.", code="unknown_repository")
    if len(found) > 1:
        raise InvalidInput.of("repository", "is the name of repositories at several providers; send the id.", code="ambiguous")
    return found[0]
