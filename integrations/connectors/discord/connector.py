"""The Discord connector: embeds in a channel, by a webhook."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from core.http.door import Auth, BadAnswer
from integrations.choices import Category
from integrations.connectors.discord import answers, limits
from integrations.connectors.discord.layout import payload
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.fields import Field, FieldKind
from integrations.contract.outbound import DestinationAnswer, DestinationRequest, HttpDestination, Outcome, OutgoingEvent
from integrations.messages.message import message_of
from integrations.secret_address import ADDRESS, SecretAddress, address_fields, host_errors, is_of

_HOSTS = ("discord.com", "discordapp.com")
_PATH = re.compile(r"/api(/v\d+)?/webhooks/\d+/[^/]+/?")
_HEADERS = {"Content-Type": "application/json"}


class Discord(Checker, HttpDestination):
    """A channel of Discord that messages are posted to."""

    key = "discord"
    title = "Discord"
    description = "Posts messages to a channel of Discord."
    categories = (Category.COMMUNICATION,)
    docs = "https://docs.discord.com/developers/resources/webhook"
    fields = address_fields(
        "Discord",
        example="https://discord.com/api/webhooks/100000000000000000/your-webhook-token",
        help="Of a channel: its settings, Integrations, Webhooks.",
        link="https://support.discord.com/hc/en-us/articles/228383668-Intro-to-Webhooks",
    )
    destination_fields = (
        Field("thread_id", "Thread", max_length=25, pattern=r"\d+", placeholder="1100000000000000000",
              help="Id of a thread or of a forum's post that is posted to. Empty: the channel itself."),
        Field("new_thread", "A post for each message", FieldKind.BOOLEAN, default=False,
              help="For forums: each message begins a post of its own, named by the message's title."),
    )  # fmt: skip
    takes_templates = True

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check where the address leads, and that it takes Discord's own messages."""
        url = credentials[ADDRESS]
        path = urlsplit(url).path.rstrip("/")
        if path.endswith(("/slack", "/github")):
            return {ADDRESS: ["ends in /slack or /github, which take the messages of others; leave that off."]}
        if errors := host_errors("Discord", _HOSTS, config, url):
            return errors
        if is_of(url, _HOSTS) and not _PATH.fullmatch(urlsplit(url).path):
            return {ADDRESS: ["is not that of a webhook: it is made of /api/webhooks/, an id and a token. Copy it again."]}
        return {}

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Refuse a message that would both begin a thread and go to one."""
        if options.get("thread_id") and options.get("new_thread"):
            return {"new_thread": ["can't go with thread_id: a message begins a post, or goes to one."]}
        return {}

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return what is masked of the address."""
        return SecretAddress(credentials[ADDRESS])

    def check(self) -> CheckResult:
        """Ask Discord about the webhook, which posts nothing."""
        try:
            found = self.door.request("GET", self.credentials[ADDRESS]).json()
        except BadAnswer as error:
            if error.status_code in (401, 404):
                told = answers.judge(DestinationAnswer(error.status_code, {}, error.body), self.shown)
                sentence = told.error if told else error.message
                raise BadAnswer(sentence, status_code=error.status_code, code=error.code, permanent=error.permanent) from error
            raise
        if not isinstance(found, dict) or not isinstance(found.get("id"), str):
            raise BadAnswer("The address answered, but not as a webhook of Discord does. Copy it again.", status_code=200)
        name = self.shown(str(found.get("name") or "without a name"))
        return CheckResult(
            f"Discord knows this webhook: {name}. Nothing was posted.", {"channel_id": self.shown(str(found.get("channel_id", "")))}
        )

    def build(self, event: OutgoingEvent, options: Mapping[str, Any]) -> DestinationRequest:
        """Return the message; `wait` has Discord say whether it was saved."""
        parts = urlsplit(self.credentials[ADDRESS])
        query = dict(parse_qsl(parts.query)) | {"wait": "true"}
        if options.get("thread_id"):
            query["thread_id"] = options["thread_id"]
        url = urlunsplit(parts._replace(query=urlencode(query)))
        made = payload(message_of(event), thread_name=bool(options.get("new_thread")))
        return DestinationRequest(url, _HEADERS, json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode())

    def judge(self, answer: DestinationAnswer) -> Outcome | None:
        """Find the saved message that alone is a success, how long to wait, and what each refusal means."""
        return answers.judge(answer, self.shown)

    @classmethod
    def body_problems(cls, body: bytes) -> list[str]:
        """Return what Discord would refuse."""
        return limits.problems(body)
