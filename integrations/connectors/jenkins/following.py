"""From a place in Jenkins' queue to a build, and to its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.http.door import BadAnswer
from integrations.connectors.jenkins.client import Client
from integrations.connectors.jenkins.jobs import build_at, job_name
from integrations.contract.outbound import FollowUpStart, Progress

_WORDS = {"SUCCESS": "passed", "UNSTABLE": "unstable", "FAILURE": "failed", "ABORTED": "aborted", "NOT_BUILT": "not built"}
_WORST_FIRST = ("failed", "unstable", "aborted", "cancelled", "not built", "passed")
_MOST = 5
_LOOKED_THROUGH = 100
_MAX_URL = 2000


@dataclass(frozen=True)
class Run:
    """One build that was asked for: the path of its job, its place in the queue, and what became of it."""

    job: str
    item: int = 0
    number: int = 0
    result: str = ""

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"job": self.job, "item": self.item, "number": self.number, "result": self.result}


def start(client: Client, runs: Sequence[Run]) -> FollowUpStart | None:
    """Return how the runs are followed, of many the first few; None where there is none that could be asked for."""
    followed = [run for run in runs if run.item or run.number][:_MOST]
    if not followed or not client.signed_in:
        return None
    memory = {"runs": [run.stored() for run in followed]}
    url = client.base + _place(followed[0])
    if len(url) > _MAX_URL:  # it is only shown: what is asked is made from the memory
        url = client.base
    return FollowUpStart(url, _label(followed), _link(client, followed), memory=memory)


def remembered(data: Mapping[str, Any]) -> list[Run]:
    """Return the runs that a memory holds."""
    found = data.get("runs")
    return [Run(**one) for one in found] if isinstance(found, list) else []


def poll(client: Client, memory: Mapping[str, Any]) -> Progress:
    """Ask once how the runs stand. Raises OutboundError."""
    runs = [run if run.result else _asked(client, run) for run in remembered(memory)]
    if not runs:
        raise BadAnswer("Nothing is known of the build that was begun. Look it up at Jenkins.", permanent=True)
    results = [run.result for run in runs]
    worst = None
    if all(results):
        worst = next((word for word in _WORST_FIRST if word in results), results[0])
    return Progress(worst, None, _label(runs), _link(client, runs), {"runs": [run.stored() for run in runs]})


def _asked(client: Client, run: Run) -> Run:
    if not run.number:
        run = _left_queue(client, run)
    return run if run.result or not run.number else _ended(client, run)


def _left_queue(client: Client, run: Run) -> Run:
    """Return the run with its number, where it left the queue. Jenkins forgets a queue item five minutes after its build began."""
    try:
        item = client.get(f"/queue/item/{run.item}", "cancelled,why,executable[number,url]", f"the queue item {run.item}")
    except BadAnswer as error:
        if error.status_code != 404:
            raise
        return _forgotten(client, run)
    if item.get("cancelled") is True:
        return replace(run, result="cancelled")
    executable = item.get("executable")
    if not isinstance(executable, Mapping):
        return run
    job, number = build_at(str(executable.get("url", ""))) or (run.job, executable.get("number"))
    return replace(run, job=job, number=number) if isinstance(number, int) and number > 0 else run


def _forgotten(client: Client, run: Run) -> Run:
    tree = f"builds[number,queueId]{{0,{_LOOKED_THROUGH}}}"
    for build in listed(client.get(run.job, tree, f"the job {job_name(run.job)}"), "builds"):
        if build.get("queueId") == run.item and isinstance(build.get("number"), int):
            return replace(run, number=build["number"])
    raise BadAnswer("Jenkins does not know the queue item any more, and no build of the job came from it. Look at Jenkins.", permanent=True)


def _ended(client: Client, run: Run) -> Run:
    found = client.get(f"{run.job}/{run.number}", "building,result", f"the build {job_name(run.job)} #{run.number}")
    result = found.get("result")
    if found.get("building") is not False or not isinstance(result, str) or not result:
        return run
    return replace(run, result=_WORDS.get(result) or client.shown(result.lower())[:40])


def listed(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list in an answer."""
    found = value.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _place(run: Run) -> str:
    return f"{run.job}/{run.number}/" if run.number else f"/queue/item/{run.item}/"


def _label(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return f"build #{runs[0].number}" if runs[0].number else "build in the queue"
    return "builds " + ", ".join(f"{job_name(run.job)} {f'#{run.number}' if run.number else 'in the queue'}" for run in runs)


def _link(client: Client, runs: Sequence[Run]) -> str:
    run = next((one for one in runs if one.number), runs[0])
    return client.base + (_place(run) if run.number else f"{run.job}/")
