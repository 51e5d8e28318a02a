"""The lists of a repository's alerts: where each is, in which order it is read, and what its entries say.

Lists are read oldest first, and without a filter that an entry of theirs could leave: what changes meanwhile moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.errors import InvalidInput
from integrations.connectors.github.alerts import AlertKind, kind_of, reported, section_of
from integrations.connectors.github.client import MOST_A_PAGE
from integrations.connectors.github.products import Product
from integrations.connectors.github.reading import number, part, text
from integrations.contract.scans import Problem, ScanItem, Section

_OLDEST_FIRST = {"sort": "created", "direction": "asc"}
# `after` has GitHub page by cursor; hide_secret has it leave out the secret itself
SECRET_PARAMS = {"hide_secret": "true"}
_SECRETS = {**SECRET_PARAMS, **_OLDEST_FIRST, "after": ""}
# These types are in no list that does not name them.
# https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
_GENERIC_SECRETS = (
    "ec_private_key", "generic_private_key", "http_basic_authentication_header", "http_bearer_authentication_header",
    "mongodb_connection_string", "mysql_connection_string", "mysql_connection_url", "openssh_private_key", "password", "pgp_private_key",
    "postgres_connection_string", "rsa_private_key",
)  # fmt: skip


class Step(StrEnum):
    """Lists, in the order in which they are read."""

    DEPENDABOT = "dependabot"
    ANALYSES = "analyses"
    CODE = "code"
    SECRETS = "secrets"
    GENERIC_SECRETS = "generic_secrets"
    ADVISORIES = "advisories"
    PACKAGES = "packages"


@dataclass(frozen=True)
class Listing:
    """A list. Without `kind` its entries are analyses, which name tools that may have no alert left."""

    product: Product
    path: str
    params: Mapping[str, str]
    kind: AlertKind | None
    of_ref: bool = False
    most_pages: int = 1000
    """So many pages are read; more are a problem, but of analyses, whose latest are enough."""
    is_extra: bool = False
    """Not every server has it: one that refuses it is not asked for it."""

    def query(self, ref: str) -> dict[str, str]:
        """Return the parameters of the first page."""
        return {**self.params, **({"ref": ref} if self.of_ref else {}), "per_page": str(MOST_A_PAGE)}


LISTINGS = {
    # what is fixed leaves this list; by GitHub's cursor that moves no other entry
    Step.DEPENDABOT: Listing(Product.DEPENDABOT, "/dependabot/alerts", {"state": "open,dismissed,auto_dismissed", **_OLDEST_FIRST},
                             AlertKind.DEPENDABOT),
    Step.ANALYSES: Listing(Product.CODE, "/code-scanning/analyses", {}, None, of_ref=True, most_pages=3, is_extra=True),
    Step.CODE: Listing(Product.CODE, "/code-scanning/alerts", _OLDEST_FIRST, AlertKind.CODE, of_ref=True),
    Step.SECRETS: Listing(Product.SECRETS, "/secret-scanning/alerts", _SECRETS, AlertKind.SECRET),
    Step.GENERIC_SECRETS: Listing(Product.SECRETS, "/secret-scanning/alerts", {**_SECRETS, "secret_type": ",".join(_GENERIC_SECRETS)},
                                  AlertKind.SECRET, is_extra=True),
    Step.ADVISORIES: Listing(Product.ADVISORIES, "/security-advisories", _OLDEST_FIRST, AlertKind.ADVISORY),
}  # fmt: skip
_STEPS = {
    Product.DEPENDABOT: (Step.DEPENDABOT,),
    Product.CODE: (Step.ANALYSES, Step.CODE),
    Product.SECRETS: (Step.SECRETS, Step.GENERIC_SECRETS),
    Product.ADVISORIES: (Step.ADVISORIES,),
    Product.PACKAGES: (Step.PACKAGES,),
}


def steps_of(products: frozenset[Product]) -> list[Step]:
    """Return the lists of some products."""
    return [step for product, steps in _STEPS.items() if product in products for step in steps]


def items_of(listing: Listing, entries: list[Any], ref: str, known: set[str]) -> Iterator[ScanItem]:
    """Yield what a page says; entries named in `known` stood on the page before."""
    if listing.kind is None:
        named = (entry for entry in entries if text(part(entry, "tool"), "name"))
        yield from dict.fromkeys(section_of(entry, AlertKind.CODE) for entry in named)
        return
    section: Section | None = None
    if listing.kind is not AlertKind.CODE:
        section = section_of({}, listing.kind)
        yield section
    for place, entry in enumerate(entries):
        name = name_of(entry)
        if name and name in known:
            continue
        where = f"{listing.product.label}, {name or f'entry {place}'}"
        if kind_of(entry) is not listing.kind:
            yield Problem(where, "GitHub answered something that is no such alert.")
            continue
        if section is None or (listing.kind is AlertKind.CODE and section_of(entry) != section):
            section = section_of(entry)
            yield section
        try:
            yield from reported(entry, ref)
        except InvalidInput as error:
            yield Problem(where, error.message)


def name_of(entry: Any) -> str:
    """Return what tells an entry from the others of its list, "" where nothing does."""
    if not isinstance(entry, Mapping):
        return ""
    found = number(entry, "number")
    return text(entry, "ghsa_id")[:100] if found is None else str(found)
