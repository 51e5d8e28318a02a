"""What the stub of GitHub's REST API knows of a repository's security, and how GitHub lists it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

MAIN = "refs/heads/main"
SECRET = "acme-key-f00dfeedbeef"
GENERIC = frozenset({"password", "rsa_private_key"})
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Security:
    """Lists of alerts by number, newest last. `off` answers for a list that is off, by its path."""

    dependabot: list[dict[str, Any]] = field(default_factory=list)
    code: list[dict[str, Any]] = field(default_factory=list)
    analyses: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[dict[str, Any]] = field(default_factory=list)
    advisories: list[dict[str, Any]] = field(default_factory=list)
    database: list[tuple[dict[str, Any], set[str]]] = field(default_factory=list)
    """Global advisories, each with the name@version that it affects."""
    off: dict[str, Answer] = field(default_factory=dict)
    repeats: int = 0
    """So many entries of a page stand on the next one, too."""
    keeps_parameters: bool = True
    """Links carry all parameters of the first page."""

    def answer(self, url: str, path: str, query: dict[str, str]) -> Answer | None:
        """Answer a list, None for what is none. `url` is what its links begin with."""
        if path in self.off:
            return self.off[path]
        if path == "/dependabot/alerts":
            states = query["state"].split(",") if "state" in query else None
            return self._by_cursor(url, query, [one for one in self.dependabot if states is None or one["state"] in states])
        if path == "/code-scanning/alerts":
            of_ref = [one for one in self.code if query.get("ref", MAIN) == one["most_recent_instance"]["ref"]]
            return self._by_number(url, query, of_ref)
        if path == "/code-scanning/analyses":
            return self._by_number(url, query, [one for one in self.analyses if query.get("ref", one["ref"]) == one["ref"]])
        if path == "/secret-scanning/alerts":
            return self._by_cursor(url, query, list(self._secrets(query)))
        if path == "/security-advisories":
            return self._by_number(url, query, self.advisories)
        return None

    def affecting(self, url: str, query: dict[str, str]) -> Answer:
        """Answer what the database of advisories has about packages."""
        wanted = set(query["affects"].split(","))
        found = [
            one for one, affected in self.database
            if affected & wanted and one["type"] == query.get("type", "reviewed")
            and any(each["package"]["ecosystem"] == query["ecosystem"] for each in one["vulnerabilities"])
        ]  # fmt: skip
        return self._by_number(url, query, found)

    def _secrets(self, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        types = set(query["secret_type"].split(",")) if "secret_type" in query else None
        for one in self.secrets:
            if one["secret_type"] in types if types else one["secret_type"] not in GENERIC:
                yield one if query.get("hide_secret") == "true" else {**one, "secret": SECRET}

    def _by_cursor(self, url: str, query: dict[str, str], found: list[dict[str, Any]]) -> Answer:
        """List what stands behind the number in `after`."""
        if "page" in query:
            return 400, {"message": "Pagination using the `page` parameter is not supported."}, {}
        rows, size, after = _ordered(query, found), int(query.get("per_page", "30")), query.get("after")
        if after:
            passed = int(after)
            rows = [one for one in rows if (one["number"] > passed if query.get("direction") == "asc" else one["number"] < passed)]
        page = rows[:size]
        return 200, page, self._link(url, query, "after", page[-1]["number"]) if len(rows) > size else {}

    def _by_number(self, url: str, query: dict[str, str], found: list[dict[str, Any]]) -> Answer:
        rows, size, page = _ordered(query, found), int(query.get("per_page", "30")), int(query.get("page", "1"))
        start = (page - 1) * (size - self.repeats)
        return 200, rows[start : start + size], self._link(url, query, "page", page + 1) if start + size < len(rows) else {}

    def _link(self, url: str, query: dict[str, str], name: str, value: int) -> dict[str, str]:
        kept = query if self.keeps_parameters else {name: query[name] for name in query if name != "hide_secret"}
        return {"Link": f'<{url}?{urlencode({**kept, name: value})}>; rel="next"'}


def _ordered(query: dict[str, str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows if query.get("direction") == "asc" else rows[::-1]


def dependabot_alert(number: int, **more: Any) -> dict[str, Any]:
    """Return an alert of Dependabot, each about an advisory of its own."""
    name = f"GHSA-aaaa-bbbb-{number:04d}"
    about = {"ghsa_id": name, "cve_id": None, "summary": f"Weakness {number}", "severity": "high", "withdrawn_at": None}
    dependency = {"package": {"ecosystem": "npm", "name": f"package-{number}"}, "manifest_path": "package-lock.json"}
    alert = {"number": number, "state": "open", "dependency": dependency, "security_advisory": about, "security_vulnerability": {}}
    return alert | more


def code_alert(number: int, tool: str = "CodeQL", category: str = "/language:python", ref: str = MAIN, **more: Any) -> dict[str, Any]:
    """Return an alert of code scanning."""
    instance = {"ref": ref, "category": category, "state": more.get("state", "open"), "location": {"path": "a.py", "start_line": number}}
    rule = {"id": "py/sqli", "severity": "error", "description": "SQL from outside"}
    return {
        "number": number,
        "state": "open",
        "rule": rule,
        "tool": {"name": tool, "version": "2"},
        "most_recent_instance": instance,
    } | more


def analysis(tool: str = "CodeQL", category: str = "/language:python", ref: str = MAIN) -> dict[str, Any]:
    """Return an analysis of code scanning."""
    return {"ref": ref, "category": category, "tool": {"name": tool, "version": "2"}, "results_count": 0}


def secret_alert(number: int, **more: Any) -> dict[str, Any]:
    """Return an alert of secret scanning."""
    place = {"path": "/config.yml", "start_line": number}
    return {"number": number, "state": "open", "secret_type": "acme_key", "resolution": None, "first_location_detected": place} | more


def advisory(name: str, *packages: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    """Return an advisory about packages, each with its range and the version that mends it."""
    about = [
        {"package": {"ecosystem": "npm", "name": package}, "vulnerable_version_range": bounds, "first_patched_version": fixed}
        for package, bounds, fixed in packages
    ]
    return {"ghsa_id": name, "cve_id": None, "type": "reviewed", "summary": "S", "severity": "low", "vulnerabilities": about} | more
