"""Why issues are ignored: Snyk's older API says it, the present one only says that they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from integrations.connectors.snyk.client import Client
from integrations.contract.payloads import text

_MOST, _MOST_PATHS = 5_000, 10
_KEPT = ("reason", "reasonType", "created", "expires", "disregardIfFixable", "source")
Ignores = Mapping[str, list[dict[str, Any]]]
"""By key of the issue: on which paths it is ignored, why, and until when. Without who did it."""


def ignores(client: Client, org: str, project: str) -> Ignores:
    """Return a project's ignores. Those of .snyk files and of policies are not among them. Raises OutboundError."""
    found = client.v1(f"/org/{quote(org, safe='')}/project/{quote(project, safe='')}/ignores", what="the ignores of a project")
    if not isinstance(found, Mapping):
        return {}
    return {key: kept for key, said in list(found.items())[:_MOST] if (kept := _kept(said))}


def _kept(said: Any) -> list[dict[str, Any]]:
    paths = [
        (path, one)
        for entry in (said if isinstance(said, list) else [said])
        if isinstance(entry, Mapping)
        for path, one in entry.items()
        if isinstance(one, Mapping)
    ]
    return [{"path": text(path, 500)} | {name: _short(one[name]) for name in _KEPT if name in one} for path, one in paths[:_MOST_PATHS]]


def _short(value: Any) -> Any:
    return value if isinstance(value, bool) else text(value, 1000)
