"""GitLab as a destination: events run pipelines, or set the status of their commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.http.door import Auth, BadAnswer
from integrations.connectors.gitlab import pipelines, statuses
from integrations.connectors.gitlab.client import Client
from integrations.connectors.gitlab.fields import (
    DESTINATION_FIELDS,
    GITLAB_FIELDS,
    PUBLIC_GITLAB,
    Action,
    GitLabAuth,
    config_errors,
    option_errors,
)
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.outbound import CallDestination, Followed, Memory, NothingToTell, Outcome, OutgoingEvent, Progress
from integrations.messages.message import message_of


class GitLabDestination(Checker, CallDestination, Followed):
    """Runs pipelines and sets statuses of commits."""

    fields = GITLAB_FIELDS
    destination_fields = DESTINATION_FIELDS
    example = {
        "credentials": {"access_token": "glpat-example", "trigger_token": "glptt-example"},
        "destination": {"action": "commit_status", "project": "acme/shop"},
    }

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the address."""
        return config_errors(config, credentials)

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the project's path, the names of variables and the placeholders."""
        return option_errors(options)

    @classmethod
    def chosen_by_events(cls, options: Mapping[str, Any]) -> str:
        """Return the option that names the project, where it is left out."""
        return "" if options.get("project") else "project"

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return what signs in."""
        return GitLabAuth(credentials)

    @property
    def _client(self) -> Client:
        return Client(self.door, self.config.get("base_url", PUBLIC_GITLAB), self.shown)

    def check(self) -> CheckResult:
        """Ask whose the access token is; without one, only whether GitLab answers: a trigger token can do nothing but run a pipeline."""
        if not self.credentials.get("access_token"):
            listed = self._client.get("/projects", "its public projects", {"per_page": "1", "simple": "true"})
            if not isinstance(listed, list):
                raise BadAnswer("What answers at this address is not GitLab. Check the address, without /api/v4.")
            return CheckResult("GitLab answers. Without an access token it can't be told whether the trigger token is right.")
        found = self._client.get("/user", "the token's account")
        name = found.get("username") if isinstance(found, dict) else None
        if not isinstance(name, str) or not name:
            raise BadAnswer("GitLab answered without an account name. Check that the address is that of GitLab.")
        return CheckResult(f"Signed in to GitLab as {self.shown(name)}.", {"account": self.shown(name)})

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Do what the options say with the project that they or the event name."""
        shown = message_of(event)
        project = str(options.get("project", "")).strip("/")
        sets_status = options.get("action", Action.COMMIT_STATUS) == Action.COMMIT_STATUS
        if sets_status and not self.credentials.get("access_token"):
            return Outcome(ok=False, error="The integration has no access token: give it one to set statuses.", permanent=True)
        if not project:
            if event.type == "webhook.test" and sets_status:  # a test is to show at least that the token is right
                return Outcome(ok=True, details={"note": f"{self.check().message} A test has no commit to set the status of."})
            if shown.provider != "gitlab" or not shown.repository:
                whose = f"the repository {shown.repository} is at {shown.provider or 'no known provider'}" if shown.repository else ""
                raise NothingToTell(
                    self.shown(f"{whose or 'the event names no repository'}, and the webhook names no project at GitLab.", 400)
                )
            if event.about.lower() != f"gitlab:{shown.repository}".lower():
                sentence = "which is not registered here as a GitLab project of the event's owner: register it, or name one in the webhook."
                raise InvalidInput.of("project", self.shown(f"The event names {shown.repository}, {sentence}", 400))
            project = shown.repository
        try:
            if sets_status:
                return statuses.told(self._client, event, project, options, memory)
            return pipelines.run(self._client, event, project, options, self.credentials, memory)
        except BadAnswer as error:
            if error.status_code == 409:
                return Outcome(ok=False, error=error.message, status=409)
            raise

    def poll(self, url: str, memory: Mapping[str, Any]) -> Progress:
        """Ask once how the pipeline stands; the address is made from what is remembered."""
        return pipelines.poll(self._client, memory)
