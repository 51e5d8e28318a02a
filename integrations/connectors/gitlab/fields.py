"""What GitLab asks for: of an integration, and of a webhook that goes through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import models

from core.http.door import Auth, NoAuth, Outgoing
from integrations.auth import HeaderAuth
from integrations.contract.fields import Field, FieldKind
from integrations.messages.flat import placeholder_errors

PUBLIC_GITLAB = "https://gitlab.com/"
TRIGGER = "/trigger/pipeline"
EVENT_VARIABLE = "REPOGUARD_EVENT"
_VARIABLE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


class Action(models.TextChoices):
    """What an event does at GitLab."""

    PIPELINE = "pipeline", "Run a pipeline"
    COMMIT_STATUS = "commit_status", "Set the status of the commit"


_PIPELINE, _STATUS = ("action", (Action.PIPELINE.value,)), ("action", (Action.COMMIT_STATUS.value,))
_TOKEN = r"[\x21-\x7e]+"  # noqa: S105 - the form of a token

GITLAB_FIELDS: tuple[Field, ...] = (
    Field("base_url", "Address of GitLab", FieldKind.URL, default=PUBLIC_GITLAB,
          help="gitlab.com, or your own GitLab as people open it, with the path if it has one."),
    Field("access_token", "Access token", secret=True, max_length=500, pattern=_TOKEN, example="glpat-example",
          help="Of a project, group or user, with the scope api and the role Developer. Sets statuses of commits, and follows pipelines to"
               " their result.", link="https://docs.gitlab.com/user/project/settings/project_access_tokens/"),
    Field("trigger_token", "Pipeline trigger token", secret=True, max_length=500, pattern=_TOKEN, example="glptt-example",
          help="At the project: Settings → CI/CD → Pipeline trigger tokens. Runs pipelines as whoever made it.",
          link="https://docs.gitlab.com/ci/triggers/"),
)  # fmt: skip

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field("action", "What an event does", FieldKind.CHOICE, choices=tuple(Action.choices), default=Action.COMMIT_STATUS.value),
    Field("project", "Project", max_length=300, pattern=r"[^?#\s\x00-\x1f]+", placeholder="acme/shop",
          help="Path with its groups, or number. Empty: the event's repository, and events of repositories that are not at GitLab are"
               " skipped."),
    Field("ref", "Branch or tag", default="{branch}", max_length=300, only_if=_PIPELINE,
          help="What the pipeline runs on. {branch} stands for the event's."),
    Field("variables", "Variables", FieldKind.MAPPING, max_length=2000, only_if=_PIPELINE,
          example={"REPOGUARD_RESULT": "{result}", "REPOGUARD_COMMIT": "{commit}"},
          help="Names with values; {repository}, {commit}, {event_type}, {result}, {link} and the like stand for the event's."),
    Field("inputs", "Inputs", FieldKind.MAPPING, max_length=2000, only_if=_PIPELINE, example={"environment": "staging"},
          help="Of the pipeline's spec:inputs, which GitLab prefers to variables. true, false, numbers and [lists] are sent as such."),
    Field("mark", "Send the variable REPOGUARD_EVENT", FieldKind.BOOLEAN, default=True, only_if=_PIPELINE,
          help="By it a pipeline is found again after a crash, so that none runs twice; it takes an access token. Switch it off where the"
               " project allows no pipeline variables."),
    Field("context", "Name of the status", default="repoguard/gate", max_length=255, only_if=_STATUS,
          help="As it stands beside the commit. Webhooks that set statuses of one name share it."),
)  # fmt: skip


class GitLabAuth:
    """The access token; for a trigger its own token stands in the body, and the other stays here."""

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        access = credentials.get("access_token")
        self._account: Auth = HeaderAuth("PRIVATE-TOKEN", access) if access else NoAuth()
        self._trigger = credentials.get("trigger_token", "")

    def __repr__(self) -> str:
        return "<GitLabAuth>"

    def apply(self, request: Outgoing) -> None:
        """Add the header, but to a trigger."""
        if not urlsplit(request.url).path.endswith(TRIGGER):
            self._account.apply(request)

    def fingerprint(self) -> str:
        """Return the account's: answers to triggers are not kept."""
        return self._account.fingerprint()

    def refused(self) -> bool:
        """Say that nothing can be done."""
        return False

    def secrets(self) -> list[str]:
        """Return both."""
        return [*self._account.secrets(), *filter(None, (self._trigger,))]


def config_errors(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with an integration's values beyond the fields' own rules."""
    if "?" in config["base_url"] or "#" in config["base_url"]:
        return {"base_url": ["must have no query (?…): paths are appended to it."]}
    if urlsplit(config["base_url"]).path.rstrip("/").endswith(("/api", "/api/v4")):
        return {"base_url": ["is the address of GitLab itself: leave /api/v4 out, it is appended."]}
    return {}


def option_errors(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with a webhook's options beyond the fields' own rules."""
    errors: dict[str, list[str]] = {}
    for name in ("variables", "inputs"):
        if found := placeholder_errors(options.get(name, {}).values()):
            errors[name] = found
    if found := placeholder_errors([options.get("ref", "")]):
        errors["ref"] = found
    project = options.get("project", "")
    if any(part in ("", ".", "..") for part in project.strip("/").split("/")) and project:
        errors["project"] = ["is no path of a project: write group/project, or its number."]
    if odd := next((name for name in options.get("variables", {}) if not set(name) <= set(_VARIABLE)), None):
        errors["variables"] = [f"{odd[:60]!r} is no name of a variable: letters, digits and _ only."]
    return errors
