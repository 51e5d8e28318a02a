"""What a workflow's answers mean. A 202 says that it was started, and nothing of whether the card was posted."""

from __future__ import annotations

import re
from collections.abc import Callable

from integrations.contract.outbound import DestinationAnswer, Outcome
from integrations.contract.payloads import at, text

_CODE = re.compile(r"[A-Za-z]{3,60}")
_INSIDE = re.compile(r"HTTP error (\d{3})")
_NEW = "make a new workflow from “When a Teams webhook request is received”, and give the integration its URL"
_OPEN = "Let “Anyone” trigger the flow, and copy the URL anew, whole"
_MEANINGS = {
    "TriggerInputSchemaMismatch": "the workflow's trigger expects another shape. Take Teams' own template of the workflow, "
    "or correct the payload template.",
    "WorkflowTriggerIsNotEnabled": "the workflow is switched off. Switch it on in Power Automate.",
    "WorkflowNotFound": f"the workflow was deleted: {_NEW}.",
    "WorkflowTriggerNotFound": f"the workflow has no such trigger any more: {_NEW}.",
    "DirectApiAuthorizationRequired": f"the signature (sig=…) of the URL is missing. {_OPEN}.",
    "DirectApiInvalidAuthorizationScheme": f"the workflow wants its callers to sign in. {_OPEN}.",
}
_STATUSES = {
    400: "it refused the message. Look at the workflow's trigger, and at the payload template where there is one.",
    401: f"the signature (sig=…) of the URL is not valid any more, or callers have to sign in. {_OPEN}.",
    403: "the workflow may not be triggered by this URL, or its owner left. Look at its owners and its trigger, and copy the URL anew.",
    404: f"there is no workflow behind this URL, or it was switched off: switch it on, or {_NEW}.",
    410: f"the workflow is gone: {_NEW}.",
    413: "the message is larger than Teams takes. Make the payload template shorter.",
}


def judge(answer: DestinationAnswer, show: Callable[[str], str]) -> Outcome | None:
    """Say what an answer means; limits and failures of the service itself are left to the status rules."""
    if answer.status == 200:
        return _of_ok(answer)
    if 200 <= answer.status < 300:
        return Outcome(ok=True, confirmed=False)
    if answer.status in (408, 425, 429) or not 400 <= answer.status < 500:
        return None
    code = text(at(answer.json(), "error", "code"))
    code = show(code) if _CODE.fullmatch(code) else ""
    known = _MEANINGS.get(code) or _STATUSES.get(answer.status) or _STATUSES[400]
    gone = answer.status == 410 or code == "WorkflowNotFound"
    return Outcome(ok=False, error=f"Teams answered {answer.status}{' ' + code if code else ''}: {known}", permanent=True, gone=gone)


def _of_ok(answer: DestinationAnswer) -> Outcome:
    """Read a 200, which connectors of old and proxies answer: an error may stand inside, even that of a limit."""
    said = answer.body[:2_000].decode("utf-8", "replace").strip()
    inside = _INSIDE.search(said)
    if inside and inside[1] in ("429", "412"):
        return Outcome(ok=False, error=f"Teams answered 200, but with HTTP error {inside[1]} inside: it is sent too much.", status=429)
    if inside:
        return Outcome(ok=False, error=f"Teams answered 200, but with HTTP error {inside[1]} inside. Look at the connector in Teams.")
    if said[:1] == "<":
        return Outcome(ok=False, error="A page answered in place of the workflow, as a proxy's sign-in does. Copy the URL anew.")
    return Outcome(ok=True, confirmed=said == "1")
