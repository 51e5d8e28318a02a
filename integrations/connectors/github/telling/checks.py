"""check_run: a check on a commit with a summary, and marks on the lines of findings. GitHub Apps only.

https://docs.github.com/en/rest/checks/runs. One run for each repository, commit and name, which later events change. Annotations can't be
taken back, and 50 go with a call: what was sent is remembered, and after a call whose answer was lost GitHub is asked how many it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from core.http.door import BadAnswer, Reply
from integrations.connectors.github.client import rows
from integrations.connectors.github.reading import number, part, text
from integrations.connectors.github.telling.check_output import Mark, marks, output
from integrations.connectors.github.telling.told import Telling, telling_already
from integrations.connectors.github.telling.verdicts import Verdict, order_of, verdict_of
from integrations.contract.fields import Field, FieldKind
from integrations.contract.outbound import NothingToTell, Outcome, Reserved
from integrations.findings import FindingsQuery, placed_findings

AT_ONCE = 50
MOST_MARKS = 1000
_IF = ("action", ("check_run",))
_CONCLUSIONS = {Verdict.PASSED: "success", Verdict.FAILED: "failure"}

FIELDS = (
    Field("check_name", "Name of the check", max_length=100, default="RepoGuard", only_if=_IF,
          help="Branch protection requires it by this name. Webhooks that tell of the same commits need names of their own."),
    Field("failed_scan", "Where a scan fails", FieldKind.CHOICE, only_if=_IF, default="failure",
          choices=(("failure", "The check fails"), ("neutral", "The check is neutral: branch protection lets it pass"))),
    Field("annotate", "Findings to mark in files", FieldKind.CHOICE, only_if=_IF, default="new",
          choices=(("new", "New ones"), ("all", "All of the branch"), ("none", "None")),
          help="At most the worst 1,000 of those with a file and line; vulnerable dependencies are in the summary."),
)  # fmt: skip


def tell(telling: Telling) -> Outcome:
    """Show on the commit what the event says, unless a newer one was told. One delivery at a time."""
    verdict = verdict_of(telling, "A check run")
    details = {"repository": telling.repository, "commit": telling.commit, "check": telling.options["check_name"]}
    run = _Run(telling)
    if telling.memory.reserve(f"{run.key}:lock", telling.event.holder) is Reserved.BUSY:
        return telling_already("this check")
    try:
        order = order_of(telling, verdict)
        if telling.memory.latest(f"{run.key}:newest", order).external_id != order:
            raise NothingToTell("a newer event was told already, and what is older must not put it aside.")
        told = f"{order} {telling.event.id}"
        if telling.memory.get(f"{run.key}:told") == told:
            raise NothingToTell("it was told before.")
        sent = run.show(_state(telling, verdict), _marks(telling, verdict))
        telling.memory.replace(f"{run.key}:told", told)
        return Outcome(ok=True, details={**details, "conclusion": _conclusion(telling, verdict) or "in progress", **sent})
    finally:
        telling.memory.forget(f"{run.key}:lock")


def _conclusion(telling: Telling, verdict: Verdict) -> str:
    return str(telling.options["failed_scan"]) if verdict is Verdict.ERROR else _CONCLUSIONS.get(verdict, "")


def _state(telling: Telling, verdict: Verdict) -> dict[str, Any]:
    at = telling.event.timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state: dict[str, Any] = {"name": telling.options["check_name"], "output": output(telling.message, verdict)}
    if conclusion := _conclusion(telling, verdict):
        state |= {"status": "completed", "conclusion": conclusion, "completed_at": at}
    else:
        state |= {"status": "in_progress", "started_at": at}
    return state | ({"details_url": telling.message.link} if telling.message.link else {})


def _marks(telling: Telling, verdict: Verdict) -> list[Mark]:
    """Return the findings to be marked: of the whole scan, or those that the event names where the scan is not known."""
    annotate = telling.options["annotate"]
    if annotate == "none" or verdict not in _CONCLUSIONS:
        return []
    provider, _, repository = telling.event.about.partition(":")  # not what it says of itself: anybody's findings could be asked for
    query = FindingsQuery(provider, repository, str(telling.event.data.get("scan_id") or ""), annotate == "new", MOST_MARKS)
    return marks(placed_findings(query) or telling.message.findings)


@dataclass(frozen=True)
class _Sent:
    """Which marks the run has, and which were on their way when last noted."""

    told: Sequence[str] = ()
    sending: Sequence[str] = ()


class _Run:
    """The one run of a commit and name."""

    def __init__(self, telling: Telling) -> None:
        self._telling, self._memory, self._client = telling, telling.memory, telling.client
        self.key = f"check:{telling.repository.lower()}@{telling.commit}:{telling.options['check_name']}"
        self._external_id = f"repoguard:{hashlib.sha256(self.key.encode()).hexdigest()[:40]}"
        self._what = f"the check {telling.options['check_name']} in {telling.repository}"

    def show(self, state: Mapping[str, Any], wanted: Sequence[Mark]) -> dict[str, Any]:
        """Send the state, with the marks that the run does not have yet in batches; return what is to be shown of it."""
        run_id = self._known()
        sent = self._sent(run_id)
        link, told = "", list(sent.told)
        for batch in _batches([mark for mark in wanted if mark.key not in set(told)]):
            keys = [mark.key for mark in batch]
            self._note(_Sent(told, keys))
            run_id, link = self._send(run_id, _with_marks(state, batch))
            told += keys
            self._note(_Sent(told))
        return {"run": run_id, "link": link, "annotations": len(told)}

    def _known(self) -> int | None:
        """Return the run's id, also where the one who made it was killed before it was noted; None where it is to be made."""
        found = self._memory.get(self.key)
        if found is not None:
            return int(found)
        if self._memory.reserve(self.key, self._telling.event.holder) is Reserved.FIRST:
            return None
        query = {"check_name": str(self._telling.options["check_name"]), "filter": "all", "per_page": "100"}
        path = f"{self._telling.path}/commits/{self._telling.commit}/check-runs"
        made = rows(self._client.get(path, query, what=self._what, anew=True), "check_runs")
        run_id = next((number(run, "id") for run in made if text(run, "external_id") == self._external_id), None)
        if run_id:
            self._memory.put(self.key, str(run_id))
        return run_id

    def _sent(self, run_id: int | None) -> _Sent:
        """Return which marks the run has; where that is not certain GitHub is asked how many."""
        noted = self._memory.recall(f"{self.key}:marks")
        if noted is None or run_id is None:
            return _Sent()
        sent = _Sent(noted.data.get("told", ()), noted.data.get("sending", ()))
        if not sent.sending:
            return sent
        run = _object(self._client.get(f"{self._telling.path}/check-runs/{run_id}", what=self._what, anew=True))
        arrived = (number(part(run, "output"), "annotations_count") or 0) >= len(sent.told) + len(sent.sending)
        return _Sent([*sent.told, *sent.sending] if arrived else sent.told)

    def _note(self, sent: _Sent) -> None:
        self._memory.replace(f"{self.key}:marks", "sent", {"told": list(sent.told), "sending": list(sent.sending)})

    def _send(self, run_id: int | None, state: Mapping[str, Any]) -> tuple[int, str]:
        """Change the run, or make it; return its id and page."""
        if run_id is not None:
            reply = self._client.patch(f"{self._telling.path}/check-runs/{run_id}", state, what=self._what)
        else:
            body = {**state, "head_sha": self._telling.commit, "external_id": self._external_id}
            reply = self._client.post(f"{self._telling.path}/check-runs", body, what=self._what)
        run = _object(reply)
        made = number(run, "id")
        if not made:
            raise BadAnswer("GitHub answered without the check run. Check that the address is that of its API.")
        if run_id is None:
            self._memory.put(self.key, str(made))
        return made, text(run, "html_url")


def _batches(wanted: Sequence[Mark]) -> Iterator[Sequence[Mark]]:
    """Yield the marks of each call: one call at least, which has none where there are none."""
    for start in range(0, max(len(wanted), 1), AT_ONCE):
        yield wanted[start : start + AT_ONCE]


def _with_marks(state: Mapping[str, Any], batch: Sequence[Mark]) -> dict[str, Any]:
    return {**state, "output": {**state["output"], "annotations": [mark.body for mark in batch]} if batch else state["output"]}


def _object(reply: Reply) -> Mapping[str, Any]:
    value = reply.json()
    return value if isinstance(value, dict) else {}
