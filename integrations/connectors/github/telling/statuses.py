"""commit_status: a state on a commit, which pull requests show and branch protection can require.

https://docs.github.com/en/rest/commits/statuses. The last status that is sent counts, so one of an older event must not be the last:
what is newest is noted before anything is sent, looked at again after it, and sent if it changed meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.connectors.github.telling.told import Telling, telling_already
from integrations.connectors.github.telling.verdicts import Verdict, order_of, verdict_of
from integrations.contract.fields import Field
from integrations.contract.message import Message
from integrations.contract.outbound import NothingToTell, Outcome, Remembered
from integrations.messages.cutting import cut

MOST_DESCRIPTION = 140
_ROUNDS = 5
_STATES = {Verdict.RUNNING: "pending", Verdict.PASSED: "success", Verdict.FAILED: "failure", Verdict.ERROR: "error"}
_FOUR_BYTES = re.compile("[\U00010000-\U0010ffff]")

FIELDS = (
    Field("context", "Name of the status", max_length=200, default="repoguard/gate", only_if=("action", ("commit_status",)),
          pattern="[\\x20-\\x7e]+",
          help="Branch protection requires it by this name. Webhooks that tell of the same commits need names of their own."),
)  # fmt: skip


def tell(telling: Telling) -> Outcome:
    """Set what is the newest state of the commit, unless GitHub shows it."""
    verdict = verdict_of(telling, "A commit status")
    details = {"repository": telling.repository, "commit": telling.commit, "context": telling.options["context"]}
    key = f"status:{telling.repository}@{telling.commit}:{telling.options['context']}".lower()
    newest = telling.memory.latest(key, order_of(telling, verdict), status(telling.message, verdict))
    sent = _send_newest(telling, key, newest)
    if sent is None:
        return telling_already("the state of this commit")
    if not sent:
        raise NothingToTell("GitHub shows this state of the commit already, or that of a newer event.")
    return Outcome(ok=True, details={**details, "state": newest.data["state"]})


def status(said: Message, verdict: Verdict) -> dict[str, str]:
    """Return the state with its sentence and link; GitHub refuses characters of four bytes there."""
    described = cut(_FOUR_BYTES.sub("\ufffd", _sentence(said, verdict)), MOST_DESCRIPTION)
    return {"state": _STATES[verdict], "description": described} | ({"target_url": said.link} if said.link else {})


def _sentence(said: Message, verdict: Verdict) -> str:
    if verdict is Verdict.RUNNING:
        tool = next((value for name, value in said.facts if name == "Tool"), "")
        return f"Scan is running ({tool})." if tool else "Scan is running."
    if verdict is Verdict.ERROR and said.event_type == "scan.completed":
        return f"Scan completed in part; no gate decides. {' '.join(said.text.split())}"
    if verdict is Verdict.ERROR:
        return f"Scan failed: {' '.join(said.text.split()) or 'the portal says why.'}"
    if verdict is Verdict.PASSED and said.event_type == "scan.completed":
        return f"Scan completed; no gate decides. {' '.join(said.text.split())}"
    counted = next((one.words() for one in said.counts if one.label == "new"), "")
    if verdict is Verdict.PASSED:
        return f"Gate passed: {counted}." if counted else "Gate passed."
    why = "; ".join(said.reasons) or "the portal says why"
    return f"Gate failed: {why} ({counted})." if counted else f"Gate failed: {why}."


def _send_newest(telling: Telling, key: str, newest: Remembered) -> int | None:
    """Send until what was sent last is the newest; return how many were sent, or None where it changed faster than that.

    A mark of this delivery's own stays while its status may have reached GitHub last without being noted: tried again, it sends
    the newest state whatever is noted.
    """
    mark, shown = f"{key}:at:{telling.event.holder}", f"{key}:shown"
    unsure = telling.memory.recall(mark) is not None
    sent = 0
    while sent < _ROUNDS:
        last = telling.memory.recall(shown)
        if not unsure and last is not None and last.data == newest.data:
            telling.memory.forget(mark)
            return sent
        telling.memory.put(mark, "sending")
        _post(telling, newest.data)
        sent, unsure = sent + 1, False
        telling.memory.replace(shown, newest.external_id, newest.data)
        newest = telling.memory.recall(key) or newest
    return None


def _post(telling: Telling, state: Mapping[str, Any]) -> None:
    body = {**state, "context": telling.options["context"]}
    telling.client.post(
        f"{telling.path}/statuses/{telling.commit}", body, what=f"statuses of {telling.commit[:12]} in {telling.repository}"
    )
