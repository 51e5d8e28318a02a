"""What GitHub can be told to do with an event. A new action is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.http.door import SignInFailed
from integrations.connectors.github import issues
from integrations.connectors.github.fields import SignIn
from integrations.connectors.github.telling import checks, dispatch, statuses, workflows
from integrations.connectors.github.telling.told import TEST_TYPE, Action, Telling
from integrations.contract.fields import Field, FieldKind
from integrations.contract.outbound import NothingToTell, Outcome

ACTIONS: Mapping[str, Action] = {
    "repository_dispatch": Action("Start workflows that listen (repository_dispatch)", dispatch.FIELDS, dispatch.tell),
    "workflow_dispatch": Action(
        "Start a workflow and follow it (workflow_dispatch)",
        workflows.FIELDS,
        workflows.tell,
        workflows.problems,
        rehearsed=workflows.rehearsed,
    ),
    "commit_status": Action("Set a commit's status", statuses.FIELDS, statuses.tell),
    "check_run": Action("Show a check with marks on lines (check run; GitHub Apps only)", checks.FIELDS, checks.tell, only_for_apps=True),
    "issue": Action("Keep an issue for each finding, gate or build", issues.ISSUE_FIELDS, issues.tell_telling, issues.issue_problems),
}

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field("action", "What GitHub does", FieldKind.CHOICE, choices=tuple((name, one.title) for name, one in ACTIONS.items()),
          default="repository_dispatch"),
    Field("repository", "Repository", max_length=201, placeholder="acme/shop",
          pattern=r"[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*",
          help="Where it happens. Left out, it is the repository that the event is about; custom events need it."),
    *(field for one in ACTIONS.values() for field in one.fields),
)  # fmt: skip
_NO_CREDENTIALS = "This integration is signed in with nothing, and GitHub lets nobody write so: give it a token, or a GitHub App."
_APPS_ONLY = "GitHub lets only GitHub Apps do this: sign the integration in as an app with the permission Checks: write."


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a webhook that was saved before there were all fields of today."""
    return {field.name: field.default for field in DESTINATION_FIELDS if field.default is not None} | dict(options)


def option_errors(options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with a webhook's options beyond the fields' own rules."""
    action = ACTIONS[options["action"]]
    if config.get("auth") == SignIn.NONE:
        return {"action": [_NO_CREDENTIALS]}
    if action.only_for_apps and config.get("auth") != SignIn.APP:
        return {"action": [_APPS_ONLY]}
    return action.problems(options)


def tell(telling: Telling, config: Mapping[str, Any]) -> Outcome:
    """Do with the event what the options say. Raises OutboundError, and InvalidInput for what can't be told."""
    action = ACTIONS[telling.options["action"]]
    if config.get("auth") == SignIn.NONE:
        raise SignInFailed(_NO_CREDENTIALS)
    if action.only_for_apps and not telling.is_app:
        raise InvalidInput(_APPS_ONLY, fields={"action": [_APPS_ONLY]})
    if telling.event.type == TEST_TYPE and (told := _tested(telling)) is not None:
        return told
    return action.tell(telling)


def _tested(telling: Telling) -> Outcome | None:
    """Return what comes of a test: it is about no commit, so the repository is read; a dispatch to a named repository is really sent.

    Whether issues can be made, their own module looks.
    """
    if "repository" not in telling.options:
        raise NothingToTell("a test is about no repository. Name one in the option repository, or send the example of an event.")
    if telling.options["action"] in ("repository_dispatch", "issue"):
        return None
    reply = telling.client.get(telling.path, what=f"the repository {telling.repository}")
    return Outcome(
        ok=True, confirmed=False, status=reply.status, details={"note": f"{telling.repository} can be read; nothing was changed."}
    )
