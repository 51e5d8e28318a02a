"""Credentials belong to the place they were entered for: a configuration that leads elsewhere asks for them again.

Otherwise somebody who may edit an integration, but never saw its token, could have it sent to a host of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from integrations.contract.connector import Connector
from integrations.contract.fields import FieldKind

# texts that name a place without being a URL
_PLACES = frozenset({"host", "hostname", "server", "port", "domain", "site", "region", "account"})


def moved_field(connector: type[Connector], before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the name of the first field by which credentials would go to another place or be used in another way, or "".

    Such are URLs with another scheme, host or port, named places, and choices that secret fields depend on (the kind of auth).
    """
    deciding = {field.only_if[0] for field in connector.fields if field.secret and field.only_if}
    for field in connector.fields:
        old, new = before.get(field.name), after.get(field.name)
        if field.secret or old == new:
            continue
        if field.kind == FieldKind.URL:
            if new is not None and _origin(old) != _origin(new):
                return field.name
        elif field.name in deciding or field.name in _PLACES:
            return field.name
    return ""


def _origin(url: object) -> tuple[str, str]:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.lower()
