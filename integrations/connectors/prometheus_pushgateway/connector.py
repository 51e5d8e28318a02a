"""The connector of a Prometheus Pushgateway: https://github.com/prometheus/pushgateway#api."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from core.http.door import Auth, BadAnswer
from integrations.auth import AUTH_FIELDS, auth_errors, configured_auth
from integrations.choices import Category
from integrations.connectors.prometheus_pushgateway.exposition import CONTENT_TYPE, group_path, text
from integrations.connectors.prometheus_pushgateway.metrics import EVERY_BRANCH, check_branch, group_of
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.fields import Field, FieldKind
from integrations.contract.outbound import CallDestination, Memory, Outcome, OutgoingEvent
from integrations.contract.payloads import at
from integrations.contract.signin import OAuthApp
from integrations.contract.telling import State, tell_latest
from integrations.messages.message import message_of

STATUS = "/api/v1/status"


class PrometheusPushgateway(Checker, CallDestination):
    """A Pushgateway."""

    key = "prometheus_pushgateway"
    title = "Prometheus Pushgateway"
    description = "Keeps the numbers of gates, scans and builds until Prometheus scrapes them."
    categories = (Category.MONITORING, Category.ANALYTICS)
    docs = "https://prometheus.io/docs/practices/pushing/"
    fields = (
        Field("url", "Address", FieldKind.URL, required=True, placeholder="https://pushgateway.example.com",
              help="With the path before /metrics, where --web.route-prefix sets one."),
        *AUTH_FIELDS,
    )  # fmt: skip
    destination_fields = (
        Field("job", "Job", default="repoguard", max_length=100, pattern=r"[A-Za-z0-9_.:/ -]+", help="The label job of all metrics."),
        Field("branches", "Branches", FieldKind.WORDS, default=("main", "master"), max_length=200, pattern=r"\S+", placeholder="main",
              help=f"Whose metrics are pushed. {EVERY_BRANCH} pushes those of all; a Pushgateway never forgets one by itself."),
    )  # fmt: skip
    example = {"config": {"url": "https://pushgateway.example.com", "auth": "bearer"}, "credentials": {"token": "an-access-token"}}

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check what the sign-in fields say together."""
        return auth_errors(config, credentials)

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | OAuthApp:
        """Return what the sign-in fields say: of the proxy or the web configuration before it."""
        return configured_auth(config, credentials, config["url"])

    def check(self) -> CheckResult:
        """Ask for the status, which changes nothing."""
        said = self.door.request("GET", self._url(STATUS)).json()
        version = at(said, "data", "build_information", "version")
        if at(said, "status") != "success" or not isinstance(version, str):
            raise BadAnswer("What answers there is no Pushgateway: it told no version. Check the address, and the path before /metrics.")
        return CheckResult(f"Pushgateway {self.shown(version, 40)} answered.", {"version": self.shown(version, 40)})

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Push the group of an event. Raises NothingToTell for one without numbers, or older than what is pushed already."""
        message = message_of(event)
        check_branch(message, options.get("branches", ()))
        group = group_of(event, message)
        path = group_path(options.get("job", "repoguard"), group.labels)
        key = f"group:{hashlib.sha256(path.encode()).hexdigest()}"
        tell_latest(memory, key, event, {"path": path, "text": text(group.families)}, self._push)
        return Outcome(ok=True, details={"pushed": path})

    def _push(self, state: State) -> None:
        """Put a group in the place of what stands there; any success will do, of which there are two."""
        headers, body = {"Content-Type": CONTENT_TYPE}, str(state["text"]).encode()
        try:
            self.door.request("PUT", self._url(str(state["path"])), headers=headers, body=body)
        except BadAnswer as error:
            raise self._explained(error) from error

    def _explained(self, error: BadAnswer) -> BadAnswer:
        if error.status_code != 400:
            return error
        said = self.shown(error.body.decode("utf-8", "replace")).rstrip(". ")
        sentence = (
            f"The Pushgateway refused the metrics{f': {said}' if said else ''}. Delete the group that they disagree with, if it names one."
        )
        return BadAnswer(sentence, status_code=400, body=error.body, permanent=True)

    def _url(self, path: str) -> str:
        return str(self.config["url"]).rstrip("/") + path
