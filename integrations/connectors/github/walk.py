"""Reads the runs of GitHub Actions page by page, newest first, with a cursor to go on from after any page.

GitHub lists at most a thousand runs of one query, so the time they were created in is cut into windows until each holds fewer.
Of a run it lists the latest attempt only; earlier ones are asked for one by one, and are pages of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from core.http.door import BadAnswer, Reply
from integrations.connectors.github.client import MOST_A_PAGE, Client, NotThere, next_link, rows
from integrations.connectors.github.reading import moment, number, text
from integrations.connectors.github.runs import reported
from integrations.contract.reports import ReportedRun

CAP = 1000
"""So many runs of one query are listed, however many there are."""
MOST_ATTEMPTS = 20
"""So many earlier attempts of one run are read, the latest first."""
_AIM, _MOST_WINDOWS = 500, 10
_ATTEMPTS_AT_ONCE = 10
_NAMED = 10


@dataclass(frozen=True)
class RunQuery:
    """Which runs: created in [since, until), of a branch, of a workflow (file name, id, or name). Empty: all."""

    branch: str = ""
    workflow: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class RunPage:
    """Some runs. `cursor` (JSON) says where to go on behind them; `listed` of the `total` runs are new on this page."""

    runs: tuple[ReportedRun, ...] = field(repr=False)
    cursor: Mapping[str, Any]
    total: int
    listed: int = 0
    note: str = ""
    """What is missing, "" if nothing."""


def run_pages(client: Client, full_name: str, query: RunQuery, cursor: Mapping[str, Any] | None = None) -> Iterator[RunPage]:
    """Yield the runs of a repository behind `cursor`. Raises OutboundError; what was yielded before stays good."""
    walk = _Walk(client, full_name, dict(cursor) if cursor else _start(client, full_name, query), query.branch)
    while walk.has_more:
        yield walk.step()


def _start(client: Client, full_name: str, query: RunQuery) -> dict[str, Any]:
    """Return the first cursor. The repository is asked for first: that it is unknown, moved or closed is said in its own words."""
    base = f"/repos/{quote(full_name, safe='/')}"
    found = client.get(base, what=f"the repository {full_name}").json()
    created = moment(found, "created_at") if isinstance(found, dict) else None
    if created is None:
        raise BadAnswer("GitHub answered without the repository. Check that the integration's address is that of its API.")
    path = f"{base}/actions/runs"
    if query.workflow:
        path = f"{base}/actions/workflows/{_workflow(client, base, full_name, query.workflow)}/runs"
    first = max(created, query.since) if query.since else created
    # GitHub keeps whole seconds, and takes both ends in: [since, until) ends a second before a whole `until`
    last = math.ceil((query.until or datetime.now(UTC)).timestamp()) - 1
    begin = math.ceil(first.timestamp())
    return {"path": path, "windows": [[begin, last]] if begin <= last else [], "next": "", "attempts": [], "total": None}


def _workflow(client: Client, base: str, full_name: str, wanted: str) -> str:
    """Return how GitHub addresses a workflow: by its id or file name as they are, by its name from the list of workflows."""
    if wanted.isdigit() or wanted.lower().endswith((".yml", ".yaml")):
        return quote(wanted.rpartition("/")[2], safe="")
    names: list[str] = []
    for reply in client.pages(f"{base}/actions/workflows", {}, what=f"the workflows of {full_name}"):
        for workflow in rows(reply, "workflows"):
            if text(workflow, "name") == wanted and (found := number(workflow, "id")) is not None:
                return str(found)
            names.append(text(workflow, "name"))
    there = f"There are {', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''}." if names else "It has no workflows."
    raise NotThere(f"{full_name} has no workflow named {wanted}. {there}", status_code=404, permanent=True)


class _Walk:
    """Where the reading stands."""

    def __init__(self, client: Client, full_name: str, cursor: dict[str, Any], branch: str) -> None:
        self._client, self._full_name, self._branch = client, full_name, branch
        self._path: str = cursor["path"]
        self._windows: list[list[int]] = [list(window) for window in cursor["windows"]]
        self._next: str = cursor["next"]
        self._attempts: list[list[int]] = [list(attempt) for attempt in cursor["attempts"]]
        self._total: int | None = cursor["total"]

    @property
    def has_more(self) -> bool:
        return bool(self._attempts or self._next or self._windows)

    def step(self) -> RunPage:
        """Make the next call or few; a page without runs where a window was only cut into smaller ones."""
        if self._attempts:
            return self._earlier_attempts()
        what = f"the runs of {self._full_name}"
        if self._next:
            return self._listed(self._client.follow(self._next, what=what))
        begin, last = self._windows[-1]
        reply = self._client.get(self._path, self._params(begin, last), what=what)
        count = _total(reply)
        if self._total is None:
            self._total = count
        self._windows.pop()
        if count > CAP and begin < last:
            self._windows += _cut(begin, last, count)
            return self._page([], 0, "")
        note = f"More than {CAP:,} runs were created at {datetime.fromtimestamp(begin, UTC):%Y-%m-%d %H:%M:%S} UTC; GitHub lists no more."
        return self._listed(reply, note if count > CAP else "")

    def _params(self, begin: int, last: int) -> dict[str, str]:
        params = {"created": f"{_written(begin)}..{_written(last)}", "per_page": str(MOST_A_PAGE)}
        return params | ({"branch": self._branch} if self._branch else {})

    def _listed(self, reply: Reply, note: str = "") -> RunPage:
        found = rows(reply, "workflow_runs")
        self._next = next_link(reply)
        for run in found:
            build_id, latest = number(run, "id"), number(run, "run_attempt") or 1
            if build_id is not None:
                self._attempts += [[build_id, attempt] for attempt in range(latest - 1, max(0, latest - 1 - MOST_ATTEMPTS), -1)]
        return self._page([reported(run) for run in found], len(found), note)

    def _earlier_attempts(self) -> RunPage:
        now, self._attempts = self._attempts[:_ATTEMPTS_AT_ONCE], self._attempts[_ATTEMPTS_AT_ONCE:]
        return self._page([self._attempt(build_id, attempt) for build_id, attempt in now], 0, "")

    def _attempt(self, build_id: int, attempt: int) -> ReportedRun | None:
        path = f"/repos/{quote(self._full_name, safe='/')}/actions/runs/{build_id}/attempts/{attempt}"
        try:
            found = self._client.get(path, what=f"attempt {attempt} of run {build_id}").json()
        except NotThere:  # it was removed, as old attempts are
            return None
        return reported(found) if isinstance(found, dict) else None

    def _page(self, found: list[ReportedRun | None], listed: int, note: str) -> RunPage:
        cursor = {
            "path": self._path,
            "windows": [list(window) for window in self._windows],
            "next": self._next,
            "attempts": [list(attempt) for attempt in self._attempts],
            "total": self._total,
        }
        return RunPage(tuple(run for run in found if run is not None), cursor, self._total or 0, listed, note)


def _cut(begin: int, last: int, count: int) -> list[list[int]]:
    """Return windows that make up [begin, last], in the order in which they are put aside: the newest, which is next, at the end."""
    seconds = last - begin + 1
    pieces = min(_MOST_WINDOWS, max(2, math.ceil(count / _AIM)), seconds)
    bounds = [begin + seconds * piece // pieces for piece in range(pieces + 1)]
    return [[bounds[piece], bounds[piece + 1] - 1] for piece in range(pieces)]


def _total(reply: Reply) -> int:
    value = reply.json()
    count = number(value, "total_count") if isinstance(value, dict) else None
    if count is None:
        raise BadAnswer("GitHub answered without the number of runs. Check that the integration's address is that of its API.")
    return count


def _written(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
