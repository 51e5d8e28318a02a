"""CircleCI's webhooks: https://circleci.com/docs/reference/outbound-webhooks-reference/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import signing
from core.signing import Scheme
from integrations.choices import Category
from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import at, json_object, moment, peek, repository_in, text
from integrations.contract.reports import ReportedRun
from integrations.contract.simulated import Message, Signed, Simulated, read_samples

STATUSES = {
    "success": "success",
    "failed": "failure",
    "error": "failure",
    "unauthorized": "failure",
    "failing": "running",
    "running": "running",
    "queued": "queued",
    "not_run": "skipped",
    "on_hold": "queued",
    "canceled": "cancelled",
    "timedout": "timed_out",
    "infrastructure_fail": "failure",
}
"""Both events tell of an end, so an unknown word is a failure; it is kept in `raw`."""
_SCHEME = Scheme("circleci-signature", prefix="v1=", listed=True)


class CircleCI(Simulated):
    """Projects at CircleCI, which tell of completed workflows and jobs."""

    key = "circleci"
    title = "CircleCI"
    description = "Tells of completed workflows and jobs."
    categories = (Category.DEVELOPMENT,)
    docs = "https://circleci.com/docs/guides/integration/outbound-webhooks/"
    samples = read_samples(__file__)
    key_help = "At CircleCI: Project Settings → Webhooks, field Secret token."

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the signatures of version 1 over the body."""
        signing.check_mac(_SCHEME, secrets, request.headers, [request.body])
        payload = peek(request.body)
        return Verified(text(payload.get("id")), text(payload.get("type")))

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the signature over the body, which holds the delivery's id."""
        proof = signing.mac_value(_SCHEME, secret, [message.body])
        return Signed({"circleci-event-type": message.event, "circleci-signature": proof})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return the workflow or job with its run."""
        payload = json_object(request.body)
        run = {"workflow-completed": _workflow, "job-completed": _job}.get(verified.event, _nothing)(payload)
        happened = moment(payload.get("happened_at"))
        runs = () if run is None else (run,)
        return [payloads.other("circleci", verified.event, payload, repository=_repository(payload), occurred_at=happened, runs=runs)]


def _repository(payload: dict[str, Any]) -> str:
    """Return the repository; only projects of the old kind have its name in their slug."""
    kind, _, name = text(at(payload, "project", "slug")).partition("/")
    if kind in ("github", "gh", "bitbucket", "bb"):
        return name
    vcs = at(payload, "pipeline", "vcs")
    url = (
        at(vcs, "target_repository_url")
        or at(vcs, "origin_repository_url")
        or at(payload, "pipeline", "trigger_parameters", "git", "repo_url")
    )
    organization, project = text(at(payload, "organization", "name")), text(at(payload, "project", "name"))
    return repository_in(url) or (f"{organization}/{project}"[:255] if organization and project else project)


def _nothing(payload: dict[str, Any]) -> ReportedRun | None:
    return None


def _workflow(payload: dict[str, Any]) -> ReportedRun | None:
    workflow = payload.get("workflow")
    return _run(text(at(workflow, "id")), workflow, text(at(workflow, "name")), payload, at(workflow, "created_at"))


def _job(payload: dict[str, Any]) -> ReportedRun | None:
    job = payload.get("job")
    identity = text(at(job, "id"))
    return _run(identity and f"job-{identity}", job, text(at(job, "name")), payload, at(job, "started_at"))


def _run(identity: str, about: Any, name: str, payload: dict[str, Any], began: Any) -> ReportedRun | None:
    if not identity:
        return None
    word, pipeline = text(at(about, "status")), payload.get("pipeline")
    git = at(pipeline, "trigger_parameters", "git")  # where there is no vcs
    return payloads.run(
        identity,
        STATUSES.get(word, "failure"),
        raw={"status": word, "pipeline_id": text(at(pipeline, "id")), "workflow_id": text(at(payload, "workflow", "id"))},
        workflow=name,
        branch=text(at(pipeline, "vcs", "branch") or at(git, "branch")),
        commit=text(at(pipeline, "vcs", "revision") or at(git, "checkout_sha"), 64),
        event=text(at(pipeline, "trigger", "type"), 60),
        number=text(at(pipeline, "number"), 40),
        started_at=moment(began),
        finished_at=moment(at(about, "stopped_at")) or moment(payload.get("happened_at")),
        url=text(at(payload, "workflow", "url"), 2000),
        actor=text(at(pipeline, "vcs", "commit", "author", "name")),
    )
