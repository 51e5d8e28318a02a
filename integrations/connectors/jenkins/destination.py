"""Jenkins as a destination: events begin builds, which are followed to their result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import RepoGuardError
from core.http.door import Auth, BadAnswer, SignInFailed, surely_undone
from integrations.connectors.jenkins import builds, generic_trigger
from integrations.connectors.jenkins.client import Client, explained
from integrations.connectors.jenkins.fields import (
    DESTINATION_FIELDS,
    JENKINS_FIELDS,
    JenkinsAuth,
    SignIn,
    Trigger,
    config_errors,
    option_errors,
)
from integrations.connectors.jenkins.following import poll, remembered, start
from integrations.connectors.jenkins.jobs import is_chosen_by_events
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.outbound import CallDestination, Followed, Memory, Outcome, OutgoingEvent, Progress, Reserved
from integrations.contract.telling import busy


class JenkinsDestination(Checker, CallDestination, Followed):
    """Begins builds, through the Generic Webhook Trigger plugin or one job's own address."""

    fields = JENKINS_FIELDS
    destination_fields = DESTINATION_FIELDS
    example = {
        "credentials": {"api_token": "an-api-token", "gwt_token": "a-trigger-token"},
    }

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check what the fields say together."""
        return config_errors(config, credentials)

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the job's name and the placeholders."""
        return option_errors(options, config)

    @classmethod
    def chosen_by_events(cls, options: Mapping[str, Any]) -> str:
        """Return the option that names the job, where what an event says is put into it."""
        is_chosen = options.get("trigger") == Trigger.BUILD and is_chosen_by_events(options["job"])
        return "job" if is_chosen else ""

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return what signs in to Jenkins, or to the plugin, by the address that is called."""
        return JenkinsAuth(config, credentials)

    @property
    def _client(self) -> Client:
        signed_in = self.config.get("auth") == SignIn.TOKEN
        return Client(self.door, self.config.get("base_url", ""), self.shown, signed_in=signed_in)

    # --- Checker ---

    def check(self) -> CheckResult:
        """Ask who the portal is at Jenkins, and by a dry run which jobs the plugin's token fits."""
        client = self._client
        account = self._account(client) if self.config.get("auth") == SignIn.TOKEN else None
        if not self.credentials.get("gwt_token"):
            if account is None:
                raise BadAnswer("The integration has neither an API token nor a trigger's token. Give it one of them.", permanent=True)
            return account
        trigger = generic_trigger.check(client)
        if account is None:
            return trigger
        return CheckResult(f"{account.message} {trigger.message}", {**account.details, **trigger.details})

    def _account(self, client: Client) -> CheckResult:
        try:
            reply = self.door.request("GET", f"{client.base}/whoAmI/api/json", headers={"Accept": "application/json"})
        except BadAnswer as error:
            raise explained(error, "the page about its own user") from None
        found = client.object_of(reply)
        if found.get("anonymous") is True:
            raise SignInFailed("Jenkins answers, but takes the portal for anonymous: check user name and API token, and any proxy between.")
        name, version = found.get("name"), reply.headers.get("X-Jenkins", "")
        if not isinstance(name, str) or not name:
            raise BadAnswer("What answers at this address is not Jenkins. Check the address, with its path.")
        details = {"account": self.shown(name), **({"version": self.shown(version, 40)} if version else {})}
        return CheckResult(f"Signed in to Jenkins as {self.shown(name)}.", details)

    # --- Destination ---

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Begin what the options say, once for each event as far as Jenkins lets that be known."""
        client, key = self._client, f"begun:{event.id}"
        reserved = memory.reserve(key, event.holder)
        if reserved is Reserved.BUSY:
            return busy("Another delivery of this event is begun at Jenkins just now; this one follows.")
        if reserved is Reserved.MADE:
            found = memory.recall(key)
            runs = remembered(found.data) if found else []
            note = "It was begun before; Jenkins was not told again." if runs else "Jenkins took it before; it was not told again."
            return Outcome(ok=True, confirmed=bool(runs), details={"note": note}, follow_up=start(client, runs))
        try:
            if options.get("trigger", Trigger.GENERIC_WEBHOOK) == Trigger.BUILD:
                return builds.send(client, event, options, memory, key, reserved)
            return generic_trigger.send(client, event, options, memory, key)
        except RepoGuardError as error:
            if reserved is Reserved.FIRST and surely_undone(error):
                memory.forget(key)  # the next try need not look for what was never begun
            raise

    def poll(self, url: str, memory: Mapping[str, Any]) -> Progress:
        """Ask once how the builds stand; the address is made from what is remembered, never taken from Jenkins."""
        return poll(self._client, memory)
