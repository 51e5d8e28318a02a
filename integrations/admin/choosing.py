"""The first page of adding what is made by a connector: which one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from integrations.contract.connector import Connector

CHOOSE = "portal/choose_connector.html"
"""Its template: `connectors`, a `lead`, and `about` (the name of links to documents). It leads back with the chosen key as `?type=`."""


def choices(connectors: Iterable[type[Connector]]) -> list[dict[str, Any]]:
    """Return what the page shows of connectors, by title; templates would call the classes themselves."""
    return [
        {
            "key": connector.key,
            "title": connector.title,
            "description": connector.description,
            "categories": [category.label for category in connector.categories],
            "docs": connector.docs,
        }
        for connector in sorted(connectors, key=lambda connector: connector.title.lower())
    ]
