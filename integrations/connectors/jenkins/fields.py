"""What Jenkins asks for: of an integration, and of a webhook that goes through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import models

from core.errors import InvalidInput
from core.http.door import Auth, NoAuth, Outgoing
from core.signing import hub_signature_256
from integrations.auth import BasicAuth
from integrations.connectors.jenkins.jobs import job_path
from integrations.contract.fields import Field, FieldKind
from integrations.messages.flat import placeholder_errors

INVOKE = "/generic-webhook-trigger/invoke"
EVENT_PARAMETER = "REPOGUARD_EVENT"
_RESERVED = ("token", "cause", "delay", "json", "statuscode")
_PRINTABLE = r"[\x21-\x7e]+"


class SignIn(models.TextChoices):
    """Ways to sign in."""

    TOKEN = "token", "User name and API token"
    NONE = "none", "No sign-in: only the Generic Webhook Trigger, by its token"


class Trigger(models.TextChoices):
    """How builds are begun."""

    GENERIC_WEBHOOK = "generic_webhook", "Generic Webhook Trigger (plugin): the jobs choose by token and filter"
    BUILD = "build_with_parameters", "One job, with parameters"


_SIGNED_IN, _BUILD, _GENERIC = ("auth", (SignIn.TOKEN.value,)), ("trigger", (Trigger.BUILD.value,)), ("trigger", ("generic_webhook",))

JENKINS_FIELDS: tuple[Field, ...] = (
    Field("base_url", "Address of Jenkins", FieldKind.URL, required=True, placeholder="https://jenkins.example.com",
          help="As people open it, with the path if it has one (https://ci.example.com/jenkins)."),
    Field("auth", "Sign-in", FieldKind.CHOICE, choices=tuple(SignIn.choices), default=SignIn.TOKEN.value,
          help="Jobs are started, and followed to their result, with an API token. Without, only the plugin's token is used, and"
               " builds are not followed."),
    Field("username", "User name", required=True, max_length=200, pattern=r"[^:\x00-\x1f]+", example="repoguard", only_if=_SIGNED_IN,
          help="Of a Jenkins user that may read and build the jobs (Overall/Read, Job/Read, Job/Build)."),
    Field("api_token", "API token", secret=True, required=True, max_length=500, pattern=_PRINTABLE, example="an-api-token",
          only_if=_SIGNED_IN, help="At Jenkins: the user's page → Security → Add new token. It is no password.",
          link="https://www.jenkins.io/doc/book/system-administration/authenticating-scripted-clients/"),
    Field("gwt_token", "Token of the Generic Webhook Trigger", secret=True, max_length=500, pattern=_PRINTABLE, example="a-trigger-token",
          help="As it stands in the jobs' trigger, field Token. It is sent in a header, never in the address.",
          link="https://plugins.jenkins.io/generic-webhook-trigger/"),
    Field("gwt_hmac_secret", "HMAC secret of the Generic Webhook Trigger", secret=True, max_length=500, example="an-hmac-secret",
          help="Only where Jenkins' global whitelist of the plugin demands an HMAC (algorithm HmacSHA256)."),
    Field("gwt_hmac_header", "Header of the HMAC", default="X-Hub-Signature-256", max_length=100, pattern=r"[A-Za-z0-9-]+",
          help="As the whitelist names it. It carries sha256= and the hexadecimal HMAC-SHA256 of the body."),
)  # fmt: skip

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field("trigger", "How builds are begun", FieldKind.CHOICE, choices=tuple(Trigger.choices), default=Trigger.GENERIC_WEBHOOK.value),
    Field("dry_run", "Dry run", FieldKind.BOOLEAN, default=False, only_if=_GENERIC,
          help="Jenkins says which jobs listen, and begins nothing."),
    Field("retry_partial", "Trigger again after a partial trigger", FieldKind.BOOLEAN, default=False, only_if=_GENERIC,
          help="Where Jenkins fails in the middle (500), some jobs may have begun. Trigger them all again? They may then build twice."),
    Field("job", "Job", required=True, max_length=500, placeholder="acme/shop/main", only_if=_BUILD,
          help="Its full name, folders first. {repository}, {branch} and the like stand for the event's; a branch's job is found as Jenkins"
               " writes it (feature/x becomes feature%2Fx)."),
    Field("parameters", "Parameters", FieldKind.MAPPING, max_length=2000, only_if=_BUILD,
          example={"REPOGUARD_EVENT": "{event_id}", "REPOSITORY": "{repository}", "COMMIT": "{commit}", "BRANCH": "{branch}"},
          help=f"Names with values; {{repository}}, {{branch}}, {{commit}}, {{event_type}}, {{result}}, {{link}} and the like stand for the"
               f" event's. Jenkins drops those that the job does not declare. Declare {EVENT_PARAMETER} as well: by it a build is found"
               " again after a crash, and not begun twice. Leave empty for a job without parameters."),
)  # fmt: skip


class JenkinsAuth:
    """Basic for Jenkins itself; for the plugin its own token and HMAC, and nothing else."""

    def __init__(self, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> None:
        signed_in = config.get("auth") == SignIn.TOKEN and credentials.get("api_token")
        self._account: Auth = BasicAuth(config["username"], credentials["api_token"]) if signed_in else NoAuth()
        self._token, self._hmac_secret = credentials.get("gwt_token", ""), credentials.get("gwt_hmac_secret", "")
        self._hmac_header = config.get("gwt_hmac_header", "X-Hub-Signature-256")

    def __repr__(self) -> str:
        return "<JenkinsAuth>"

    def apply(self, request: Outgoing) -> None:
        """Add what the address asks for."""
        if not urlsplit(request.url).path.endswith(INVOKE):
            self._account.apply(request)
            return
        if self._token:
            request.headers["token"] = self._token
        if self._hmac_secret:
            request.headers[self._hmac_header] = hub_signature_256(self._hmac_secret, request.body or b"")

    def fingerprint(self) -> str:
        """Return the account's: answers to the plugin's token are not kept."""
        return self._account.fingerprint()

    def refused(self) -> bool:
        """Say that nothing can be done."""
        return False

    def secrets(self) -> list[str]:
        """Return all of them."""
        return [*self._account.secrets(), *filter(None, (self._token, self._hmac_secret))]


def config_errors(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with an integration's values beyond the fields' own rules."""
    errors: dict[str, list[str]] = {}
    if "?" in config["base_url"] or "#" in config["base_url"]:
        errors["base_url"] = ["must have no query (?…): paths are appended to it."]
    if config.get("auth") == SignIn.NONE and not credentials.get("gwt_token"):
        errors["gwt_token"] = ["is required without a sign-in: nothing could be begun otherwise."]
    if config.get("gwt_hmac_header", "").lower() in ("token", "content-type", "authorization", "host", "content-length"):
        errors["gwt_hmac_header"] = ["is a header with another meaning; name the one that Jenkins' whitelist names."]
    return errors


def option_errors(options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with a webhook's options beyond the fields' own rules."""
    if options.get("trigger") != Trigger.BUILD:
        return {}
    errors: dict[str, list[str]] = {}
    if config.get("auth") == SignIn.NONE:
        errors["trigger"] = ["needs an integration that signs in with an API token: Jenkins begins no job for anybody."]
    if found := placeholder_errors([options["job"]]):
        errors["job"] = found
    else:
        try:
            job_path(options["job"], {})
        except InvalidInput as error:
            errors["job"] = [error.message]
    parameters = options.get("parameters", {})
    if found := placeholder_errors(parameters.values()):
        errors["parameters"] = found
    elif taken := next((name for name in parameters if name.lower() in _RESERVED), None):
        errors["parameters"] = [f"{taken} has a meaning of its own at Jenkins; give the parameter another name."]
    return errors
