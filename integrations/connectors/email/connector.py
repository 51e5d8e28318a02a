"""The e-mail connector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import InvalidInput, OutboundError
from core.http.door import Auth
from core.http.lines import line
from integrations.auth import CarriedByLibrary
from integrations.choices import Category
from integrations.connectors.email import checks, services, smtp
from integrations.connectors.email.fields import DESTINATION_FIELDS, FIELDS, Security, Way, config_errors, option_errors, port_of
from integrations.connectors.email.mail import compose
from integrations.connectors.email.sent import Sent
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.outbound import CallDestination, DestinationRequest, Memory, Outcome, OutgoingEvent, Reserved
from integrations.contract.telling import busy
from integrations.messages.message import message_of


class Email(Checker, CallDestination):
    """Mails about events: over SMTP, or through a mail service."""

    key = "email"
    title = "E-mail"
    description = "Mails about events, over an SMTP server or the API of a mail service."
    categories = (Category.COMMUNICATION,)
    docs = "https://anymail.dev/en/stable/esps/"
    fields = FIELDS
    destination_fields = DESTINATION_FIELDS
    example = {
        "config": {"from_address": "repoguard@example.com", "host": "smtp.example.com", "username": "repoguard"},
        "credentials": {"password": "an-app-password"},
        "destination": {"to": ["security@example.com"]},
    }

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check addresses, and that user and password come together."""
        return config_errors(config, credentials)

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the recipients."""
        return option_errors(options)

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return what is to be masked."""
        texts = [str(value) for value in credentials.values()]
        if config["provider"] in (Way.MAILGUN, Way.MAILJET):
            pair = ("api", credentials["api_key"]) if config["provider"] == Way.MAILGUN else (credentials["api_key"], texts[-1])
            texts.append(services.basic(*pair).partition(" ")[2])
        return CarriedByLibrary(tuple(texts))

    def check(self) -> CheckResult:
        """Connect and sign in, or ask the service whose key it is; no mail is sent."""
        if self.config["provider"] != Way.SMTP:
            checks.check(self.config, self.credentials, self.door, self.shown)
            return CheckResult(f"{Way(self.config['provider']).label} takes the credentials.", {"provider": self.config["provider"]})
        with line(self.door, "smtp", self.config["host"], port_of(self.config), plain=self._plain) as made:
            smtp.check(made, self.config, self.credentials, self.shown)
        signed_in = "took the sign-in" if self.config.get("username") else "answered, without a sign-in"
        return CheckResult(f"{self.config['host']} {signed_in}.", {"port": port_of(self.config), "encryption": self.config["security"]})

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Send one mail for an event. A repeated delivery sends none; after a kill between mail and note the same one goes again."""
        key = f"mail:{event.id}"
        state = memory.reserve(key, event.holder)
        if state is Reserved.BUSY:
            return busy("Another delivery of this event is sending the mail just now; this one follows.")
        to = self._recipients(options)
        if state is Reserved.MADE:
            made = memory.recall(key)
            missing = made.data.get("missing", []) if made else []
            to = [address for address in to if address in missing]
            if not to:
                return Outcome(ok=True, details={"sent": "earlier"})
        try:
            sent = self._send(event, options, to)
        except (OutboundError, InvalidInput):
            if state is not Reserved.MADE:
                memory.forget(key)
            raise
        return self._noted(key, event, to, sent, memory)

    def rehearse(self, event: OutgoingEvent, options: Mapping[str, Any]) -> list[DestinationRequest]:
        """Return the mail as plain text, with its headers; the same is sent as HTML too."""
        mail = compose(message_of(event), self.config, options, self._recipients(options))
        headers = {"From": mail.from_email, "To": ", ".join(mail.to), "Cc": ", ".join(mail.cc), "Subject": str(mail.subject)}
        headers |= {str(name): str(value) for name, value in mail.extra_headers.items()}
        place = f"smtp://{self.config['host']}:{port_of(self.config)}" if self.config["provider"] == Way.SMTP else self.config["provider"]
        # in the body: headers of a request are masked but for known ones
        head = "".join(f"{name}: {value}\n" for name, value in headers.items() if value)
        return [DestinationRequest(place, {}, f"{head}\n{mail.body}".encode(), "MAIL")]

    @staticmethod
    def _recipients(options: Mapping[str, Any]) -> list[str]:
        return list(dict.fromkeys([*options["to"], *options.get("cc", ())]))

    def _send(self, event: OutgoingEvent, options: Mapping[str, Any], to: Sequence[str]) -> Sent:
        mail = compose(message_of(event), self.config, options, to)
        if self.config["provider"] != Way.SMTP:
            return services.send(self.config, self.credentials, self.door, mail, self.shown)
        with line(self.door, "smtp", self.config["host"], port_of(self.config), plain=self._plain) as made:
            return smtp.send(made, self.config, self.credentials, mail, self.shown)

    def _noted(self, key: str, event: OutgoingEvent, to: Sequence[str], sent: Sent, memory: Memory) -> Outcome:
        """Note who got the mail, and say so; who was refused for now is tried again, alone."""
        missing = sent.passing()
        memory.replace(key, sent.external_id or str(event.id), {"missing": missing} if missing else None)
        taken = len(to) - len(sent.refused)
        if missing:
            error = f"{taken} of {len(to)} recipients were taken; refused for now: {sent.named()}. Only these are tried again."
            return Outcome(ok=False, error=error)
        details: dict[str, Any] = {"recipients": taken}
        if sent.external_id:
            details["message_id"] = sent.external_id
        if sent.refused:
            details["refused"] = {address: refusal.reason for address, refusal in sent.refused.items()}
        return Outcome(ok=True, confirmed=not sent.refused, details=details)

    @property
    def _plain(self) -> bool:
        return bool(self.config["security"] == Security.NONE)
