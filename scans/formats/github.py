"""Alerts and advisories in JSON, as GitHub's REST API answers them: a list, pages of lists (`gh api --paginate --slurp`), or one alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import InvalidInput
from integrations.connectors.github.alerts import kind_of, reported, section_of
from scans.formats.base import Format, Head, Item, Problem
from scans.formats.source import Source

_REPOSITORY = re.compile(r"https?://[^/]{1,255}/(?:api/v3/)?repos/([^/]{1,255}/[^/]{1,255})/")


class GitHubAlerts(Format):
    """Dependabot, code scanning and secret scanning alerts, global and repository advisories."""

    key = "github"
    title = "GitHub alerts JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """GitHub's alerts are told by their names."""
        first = head.document[0] if head.is_list and head.document else None
        first = first[0] if isinstance(first, list) and first else head.object
        return kind_of(first) is not None

    def read(self, source: Source) -> Iterator[Item]:
        """Yield what is open or dismissed; a section for every tool, also where all of its alerts are fixed."""
        said: tuple[str, str] | None = None
        repository = ""
        for where, alert in _alerts(source):
            own = _repository(alert)
            repository = repository or own
            if own and own != repository:
                yield Problem(where, f"The alert is of {own}, others are of {repository}: send the alerts of one repository at a time.")
                continue
            try:
                found = reported(alert) if isinstance(alert, Mapping) else None
            except InvalidInput as error:
                yield Problem(where, error.message)
                continue
            if found is None:
                yield Problem(where, "The alert is no object.")
                continue
            section = section_of(alert)
            if (section.tool, section.category) != said:
                said = (section.tool, section.category)
                yield section
            yield from found


def _alerts(source: Source) -> Iterator[tuple[str, Any]]:
    if source.is_small() or not isinstance(source.beginning(1), list):
        document = source.document()
        entries: Iterator[Any] = iter(document if isinstance(document, list) else [document])
    else:
        entries = source.items("item")
    for number, entry in enumerate(entries):
        if isinstance(entry, list):
            for place, alert in enumerate(entry):
                yield f"[{number}][{place}]", alert
        else:
            yield f"[{number}]", entry


def _repository(alert: Any) -> str:
    """Return the repository that an alert names itself, "" for a global advisory."""
    name = _text(alert, "repository", "full_name")
    if name:
        return name.lower()
    url = alert.get("url") if isinstance(alert, Mapping) else None
    match = _REPOSITORY.match(url) if isinstance(url, str) else None
    return match[1].lower() if match else ""


def _text(value: Any, *names: str) -> str:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
