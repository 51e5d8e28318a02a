"""Jenkins: it tells through its Notification plugin (https://plugins.jenkins.io/notification/), which signs nothing, and takes events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from core import signing
from integrations.choices import Category
from integrations.connectors.jenkins.destination import JenkinsDestination
from integrations.contract import payloads
from integrations.contract.fields import Field, FieldKind
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import at, json_object, moment, peek, repository_in, text, whole
from integrations.contract.reports import ReportedRun
from integrations.contract.simulated import Message, Signed, Simulated, read_samples

BASIC, ADDRESS = "basic", "address"
STATUSES = {
    "SUCCESS": "success",
    "FAILURE": "failure",
    "UNSTABLE": "failure",
    "ABORTED": "cancelled",
    "NOT_BUILT": "skipped",
}
_PHASES = {"QUEUED": "queued", "STARTED": "running"}
_ENDED = ("COMPLETED", "FINALIZED")


class Jenkins(Simulated, JenkinsDestination):
    """A Jenkins server, whose jobs tell of their builds, and are begun by events."""

    key = "jenkins"
    title = "Jenkins"
    description = "Jobs tell of their builds through the Notification plugin; events begin builds and are followed to their result."
    categories = (Category.DEVELOPMENT,)
    docs = "https://plugins.jenkins.io/notification/"
    log_fields = ("build.log",)
    samples = read_samples(__file__)
    key_help = "At Jenkins it stands, percent-encoded, in the address of the job's notification endpoint."
    source_fields = (
        Field("mode", "Where the secret stands", FieldKind.CHOICE, required=True, default=BASIC,
              choices=((BASIC, "Password in the address (Basic)"), (ADDRESS, "Parameter ?token= of the address")),
              help="Basic: https://jenkins:SECRET@…, which Jenkins sends as a header. A parameter makes the whole address the secret, and "
                   "it stands in the logs of every proxy on the way: take it only where Basic is not possible."),
    )  # fmt: skip

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the password, or the address. The build's phase is part of the id: each arrives once."""
        if config.get("mode", BASIC) == ADDRESS:
            signing.check_token(secrets, [request.query.get("token", "")])
        else:
            password = signing.basic_password(signing.header_value(request.headers, "authorization"))
            if password is None:
                raise signing.BadSignatureError("The header authorization is not of the scheme Basic.")
            # it stands in an address, and Jenkins sends it as it stands there
            signing.check_token(secrets, [password, unquote(password)])
        build = peek(request.body).get("build")
        url, number, phase = text(at(build, "full_url"), 2000), text(at(build, "number")), text(at(build, "phase"))
        delivery = payloads.digest([url or text(peek(request.body).get("url"), 2000), number, phase]) if number and phase else ""
        return Verified(delivery, phase.lower())

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the secret where the source has it: as password, or as parameter of the address."""
        if config.get("mode", BASIC) == ADDRESS:
            return Signed({}, {"token": secret})
        return Signed({"Authorization": signing.basic_value("jenkins", secret)})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return the build as it stands; its log was not stored, or of a request from before it is dropped here."""
        payload = json_object(request.body)
        build = payload.get("build")
        if isinstance(build, dict):
            build.pop("log", None)
        repository = repository_in(at(build, "scm", "url")) or _job(payload)
        run = _run(payload, build)
        return [
            payloads.other(
                "jenkins",
                verified.event or "notification",
                payload,
                repository=repository,
                occurred_at=run.finished_at or run.started_at if run else None,
                runs=(run,) if run else (),
            )
        ]


def _job(payload: dict[str, Any]) -> str:
    """Return a job's full name: its `url` is job/folder/job/name/."""
    parts = text(payload.get("url"), 2000).strip("/").split("/")
    nested = "/".join(parts[1::2]) if len(parts) % 2 == 0 and all(part == "job" for part in parts[::2]) else ""
    return (nested or text(payload.get("name")))[:255]


def _run(payload: dict[str, Any], build: Any) -> ReportedRun | None:
    phase, word, number = text(at(build, "phase")), text(at(build, "status")), whole(at(build, "number"), 1)
    status = STATUSES.get(word, "failure") if phase in _ENDED and word else _PHASES.get(phase)
    if status is None or number is None:
        return None
    job = _job(payload)
    started, finished = moment(at(build, "timestamp"), per_second=1000), None
    milliseconds = whole(at(build, "duration"))
    if phase in _ENDED and started and milliseconds:
        finished = moment(started.timestamp() + milliseconds / 1000)
    branch = text(at(build, "scm", "branch"))
    return payloads.run(
        f"{job}#{number}",  # builds are numbered within their job
        status,
        raw={"status": word, "phase": phase, "test_summary": at(build, "test_summary")},
        workflow=job,
        branch=branch.removeprefix("origin/"),
        commit=text(at(build, "scm", "commit"), 64),
        number=str(number),
        started_at=started,
        finished_at=finished,
        url=text(at(build, "full_url"), 2000),
    )
