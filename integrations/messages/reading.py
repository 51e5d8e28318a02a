"""Reads the parts that events of several families share: repository, commit, findings, counts. What is missing or odd is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from integrations.contract.message import SEVERITIES, Count, FindingLine
from integrations.messages.cutting import clean, line

Data = Mapping[str, Any]
MAX_LISTED = 50
_MAX_URL = 2_000
_PACKAGE = ("ecosystem", "name", "version")


def mapping(value: Any) -> Data:
    """Return a mapping, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    """Return the first items of a list, none for anything else."""
    return value[:MAX_LISTED] if isinstance(value, list) else []


def word(value: Any, limit: int = 300) -> str:
    """Return a text or number as one line, "" for anything else."""
    return line(value, limit) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def web_address(value: Any) -> str:
    """Return an http(s) address without user info, "" for anything else: it becomes a link in other systems."""
    if not isinstance(value, str) or not 8 <= len(value) <= _MAX_URL or not value.isprintable() or any(c in value for c in ' <>"`|\\^{}'):
        return ""
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        return ""
    return value if parts.scheme in ("http", "https") and host and "@" not in parts.netloc else ""


def repository_of(data: Data) -> str:
    """Return the full name of an event's repository."""
    named = data.get("repository")
    return word(mapping(named).get("full_name") if isinstance(named, Mapping) else named) or word(data.get("project"))


def branch_of(data: Data) -> str:
    """Return the branch or tag, without what Git writes before it."""
    ref = word(data.get("ref")) or word(data.get("branch"))
    for start in ("refs/heads/", "refs/tags/"):
        ref = ref.removeprefix(start)
    return ref


def commit_of(data: Data) -> str:
    """Return the commit."""
    return word(data.get("commit") or data.get("after"), 64)


def amount(value: Any) -> int:
    """Return a count, 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def by_severity(value: Any) -> dict[str, int]:
    """Return the counts of known severities, worst first; words that are not known count as unknown."""
    found: dict[str, int] = {}
    for name, count in mapping(value).items():
        key = name if name in SEVERITIES else "unknown"
        found[key] = found.get(key, 0) + amount(count)
    return {name: found[name] for name in SEVERITIES if found.get(name)}


def count(label: str, value: Any) -> Count:
    """Return a count by severity."""
    return Count(label, by_severity(value))


def findings_of(data: Data, name: str = "findings") -> tuple[FindingLine, ...]:
    """Return the findings that an event names."""
    return tuple(finding_line(mapping(one)) for one in listed(data.get(name)) if isinstance(one, Mapping))


def finding_line(one: Data) -> FindingLine:
    """Return a finding as a message names it."""
    package, location = mapping(one.get("package")), mapping(one.get("location"))
    path, number = word(location.get("path"), 500), amount(location.get("line"))
    named = {name: word(package.get(name)) for name in _PACKAGE if word(package.get(name))}
    where = " ".join(named[name] for name in ("name", "version") if name in named) if named.get("name") else ""
    severity, cvss = word(one.get("severity"), 20), one.get("cvss")
    return FindingLine(
        title=word(one.get("title"), 500) or word(one.get("rule")) or "Unnamed finding",
        severity=severity if severity in SEVERITIES else "unknown",
        where=where or (f"{path}:{number}" if path and number else path),
        identifiers=tuple(filter(None, (word(value, 100) for value in listed(one.get("identifiers"))))),
        url=web_address(one.get("url")),
        finding_id=word(one.get("finding_id"), 100),
        rule=word(one.get("rule")),
        package=named,
        path=path,
        line=number or None,
        known_exploited=one.get("known_exploited") is True,
        cvss=float(cvss) if isinstance(cvss, int | float) and not isinstance(cvss, bool) and 0 <= cvss <= 10 else None,
        fixed_version=word(package.get("fixed_version")),
        condition=word(one.get("condition"), 500),
    )


def facts(data: Data, **names: str) -> tuple[tuple[str, str], ...]:
    """Return what stands in the data under these names, each with its title; what is missing is left out."""
    found = ((title, word(data.get(name), 500)) for name, title in names.items())
    return tuple((title, value) for title, value in found if value)


def plural(number: int, one: str, many: str = "") -> str:
    """Return such as `1 finding` or `1,200 findings`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: Any) -> str:
    """Return seconds as people say them, "" for what is none."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e9:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (0 if days or hours else rest, "s")]
    return " ".join(f"{value} {unit}" for value, unit in parts if value)


def paragraph(value: Any, limit: int = 2_000) -> str:
    """Return a text of several lines, "" for anything else."""
    return clean(value, limit).strip() if isinstance(value, str) else ""
