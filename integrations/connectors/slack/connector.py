"""The Slack connector: messages to a channel by an incoming webhook, and what a Slack app passes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from core.http.door import Auth, BadAnswer
from integrations.choices import Category
from integrations.connectors.slack import answers, limits
from integrations.connectors.slack.layout import payload
from integrations.connectors.slack.receiver import SlackReceiver
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.outbound import DestinationAnswer, DestinationRequest, HttpDestination, Outcome, OutgoingEvent
from integrations.messages.message import message_of
from integrations.secret_address import ADDRESS, SecretAddress, address_fields, host_errors, is_of

_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_DOCS = "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/"
_EMPTY = b"{}"
_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


class Slack(Checker, HttpDestination, SlackReceiver):
    """A channel that messages are posted to, and a Slack app that tells what happens in its workspace."""

    key = "slack"
    title = "Slack"
    description = "Posts messages to a channel; passes on events, slash commands and clicked buttons of a Slack app."
    categories = (Category.COMMUNICATION,)
    docs = "https://docs.slack.dev/apis/events-api/"
    fields = address_fields(
        "Slack",
        example="https://hooks.slack.com/services/T00000000/B00000000/your-webhook",
        help="Of an incoming webhook, which posts to one channel.",
        link=_DOCS,
    )
    takes_templates = True

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check where the address leads, and that it is one of an incoming webhook."""
        url = credentials[ADDRESS]
        if errors := host_errors("Slack", _HOSTS, config, url):
            return errors
        parts = [part for part in urlsplit(url).path.split("/") if part]
        if not is_of(url, _HOSTS) or (parts[:1] == ["services"] and len(parts) == 4):
            return {}
        if parts[:1] in (["triggers"], ["workflows"]):
            return {ADDRESS: ["belongs to a workflow, which takes no messages; take the URL of an incoming webhook (/services/…)."]}
        return {ADDRESS: ["is not whole: incoming webhooks end in /services/T…/B…/… Copy it again."]}

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return what is masked of the address."""
        return SecretAddress(credentials[ADDRESS])

    def check(self) -> CheckResult:
        """Post an empty message, which Slack refuses in one way where the webhook lives, and in another where it does not."""
        try:
            reply = self.door.request(
                "POST", self.credentials[ADDRESS], headers=_HEADERS, body=_EMPTY, expected=(200, 400), repeatable=True
            )
        except BadAnswer as error:
            word = answers.word_of(error.body)
            status = error.status_code or 0
            sentence = answers.explained(status, word) if 400 <= status < 500 else error.message
            raise BadAnswer(sentence, status_code=status, code=error.code, permanent=error.permanent) from error
        word = answers.word_of(reply.body)
        if answers.is_alive(reply.status, word):
            return CheckResult("Slack knows this webhook, and would take messages for its channel. Nothing was posted.")
        if (reply.status, word) == (200, "ok"):
            return CheckResult("The address says ok to an empty message, as Slack itself would not: it is a stand-in for Slack.")
        told = answers.judge(DestinationAnswer(reply.status, {}, reply.body))
        raise BadAnswer(told.error if told else answers.explained(reply.status, word), status_code=reply.status)

    def build(self, event: OutgoingEvent, options: Mapping[str, Any]) -> DestinationRequest:
        """Return the message for the channel."""
        body = json.dumps(payload(message_of(event)), ensure_ascii=False, separators=(",", ":")).encode()
        return DestinationRequest(self.credentials[ADDRESS], _HEADERS, body)

    def judge(self, answer: DestinationAnswer) -> Outcome | None:
        """Find the ok that alone is a success, and say what each refusal means."""
        return answers.judge(answer)

    @classmethod
    def body_problems(cls, body: bytes) -> list[str]:
        """Return what Slack would refuse."""
        return limits.problems(body)
