"""What the Jira connector asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db import models

from integrations.contract.fields import Field, FieldKind
from integrations.contract.message import SEVERITIES
from integrations.ticketing.rules import TICKET_FIELDS

Errors = dict[str, list[str]]


class Deployment(models.TextChoices):
    """The two Jiras."""

    CLOUD = "cloud", "Jira Cloud"
    DATA_CENTER = "data_center", "Jira Data Center"


_CLOUD, _DATA_CENTER = (("deployment", (one.value,)) for one in Deployment)
_OURS = ("project", "issuetype", "summary", "description", "labels", "priority", "assignee")

JIRA_FIELDS: tuple[Field, ...] = (
    Field("deployment", "Jira", FieldKind.CHOICE, choices=tuple(Deployment.choices), default=Deployment.CLOUD.value),
    Field("base_url", "Address", FieldKind.URL, required=True, placeholder="https://acme.atlassian.net",
          help="As in the browser, without /jira or /browse at its end. For a scoped API token of Jira Cloud:"
          " https://api.atlassian.com/ex/jira/<cloud id>."),
    Field("email", "E-mail address", required=True, max_length=254, pattern=r"[^:\s]+@[^:\s]+", example="repoguard@example.com",
          help="Of the Atlassian account that the token belongs to: best one of its own, which may do no more than it needs.",
          only_if=_CLOUD),
    Field("api_token", "API token", secret=True, required=True, max_length=1000, pattern=r"[\x21-\x7e]+", example="an-api-token",
          help="It expires after a year at most; note when.",
          link="https://id.atlassian.com/manage-profile/security/api-tokens", only_if=_CLOUD),
    Field("personal_token", "Personal access token", secret=True, required=True, max_length=1000, pattern=r"[\x21-\x7e]+",
          example="a-personal-access-token", help="At Jira: your profile → Personal Access Tokens.",
          link="https://confluence.atlassian.com/enterprise/using-personal-access-tokens-1026032365.html", only_if=_DATA_CENTER),
)  # fmt: skip

JIRA_OPTIONS: tuple[Field, ...] = (
    Field("project", "Project key", required=True, max_length=50, pattern="[A-Za-z][A-Za-z0-9_]*", placeholder="SEC",
          help="What stands before the number of its issues."),
    Field("issue_type", "Issue type", default="Task", max_length=100, help="As the project names it."),
    Field("priorities", "Priorities", FieldKind.MAPPING, max_length=100, example={"critical": "Highest", "high": "High"},
          help="Severity of the finding, and Jira's name of the priority. What is not named gets Jira's default; leave it empty where the"
          " project has no priorities."),
    Field("labels", "Labels", FieldKind.WORDS, max_length=255, pattern=r"\S+", default=("repoguard",),
          help="Without blanks. One more, repoguard-…, is what the portal finds its tickets by: leave it on them."),
    Field("assignee", "Assignee", max_length=200, pattern=r"\S+", help="Of Jira Cloud the account id, of Data Center the user name."),
    Field("extra_fields", "Further fields", FieldKind.MAPPING, max_length=2000,
          help='What the project wants besides: the id of the field, and its value as Jira\'s API takes it, such as customfield_10010 and'
          ' {"value": "Payments"}. What is no JSON is sent as a text.'),
    *TICKET_FIELDS,
    Field("done_transition", "Transition that closes", max_length=100, placeholder="Done",
          help="Its name, or that of the status it leads to. Empty: the first one to a status of the category Done."),
    Field("open_transition", "Transition that opens again", max_length=100, placeholder="To Do",
          help="Empty: the first one to a status of another category."),
)  # fmt: skip


def option_errors(options: Mapping[str, Any]) -> Errors:
    """Return what is wrong with a webhook's options, by field."""
    errors: Errors = {}
    named = options.get("priorities", {})
    if unknown := sorted(set(named) - set(SEVERITIES)):
        errors["priorities"] = [f"{unknown[0]} is no severity; there are {', '.join(SEVERITIES)}."]
    elif empty := sorted(severity for severity, priority in named.items() if not priority):
        errors["priorities"] = [f"{empty[0]} has no name of a priority; leave it out."]
    if taken := sorted(set(options.get("extra_fields", {})) & set(_OURS)):
        errors["extra_fields"] = [f"{taken[0]} is set by the portal; leave it out."]
    return errors


def extra_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the further fields as they are sent."""
    return {name: _value(text) for name, text in options.get("extra_fields", {}).items()}


def _value(text: str) -> Any:
    """Return what stands in a text as JSON, the text where it is none."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
        return value
    except (ValueError, RecursionError):
        return text
