"""What mail needs to know: who sends it, by which way, and who gets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.db import models

from integrations.contract.fields import Field, FieldKind


class Way(models.TextChoices):
    """How mail leaves."""

    SMTP = "smtp", "SMTP server"
    AMAZON_SES = "amazon_ses", "Amazon SES"
    BREVO = "brevo", "Brevo"
    MAILERSEND = "mailersend", "MailerSend"
    MAILGUN = "mailgun", "Mailgun"
    MAILJET = "mailjet", "Mailjet"
    MAILTRAP = "mailtrap", "Mailtrap"
    MANDRILL = "mandrill", "Mailchimp Transactional (Mandrill)"
    POSTAL = "postal", "Postal"
    POSTMARK = "postmark", "Postmark"
    RESEND = "resend", "Resend"
    SCALEWAY = "scaleway", "Scaleway Transactional Email"
    SPARKPOST = "sparkpost", "SparkPost"
    UNISENDER_GO = "unisender_go", "Unisender Go"


class Security(models.TextChoices):
    """What protects the connection to an SMTP server."""

    STARTTLS = "starttls", "STARTTLS (port 587)"
    TLS = "tls", "TLS from the start (port 465)"
    NONE = "none", "none (inner networks only)"


MOST_RECIPIENTS = 50
"""Of to and cc together: Amazon SES, Postmark and Resend take no more in one message."""
_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,255}"
_HOST = r"[^\s/@:]+|[0-9A-Fa-f:.]+"


def _only(*ways: Way) -> tuple[str, tuple[str, ...]]:
    return ("provider", tuple(way.value for way in ways))


_SMTP = _only(Way.SMTP)
_API_KEY = _only(Way.BREVO, Way.MAILGUN, Way.MAILJET, Way.MANDRILL, Way.POSTAL, Way.RESEND, Way.SPARKPOST, Way.UNISENDER_GO)

FIELDS: tuple[Field, ...] = (
    Field("provider", "Sent through", FieldKind.CHOICE, choices=tuple(Way.choices), default=Way.SMTP.value),
    Field("from_address", "From", required=True, max_length=254, pattern=_ADDRESS, placeholder="repoguard@example.com",
          help="Its domain must be one that the server or service may send for."),
    Field("from_name", "Name of the sender", max_length=100, default="RepoGuard"),
    Field("reply_to", "Replies go to", max_length=254, pattern=_ADDRESS, help="Empty: to the sender."),
    Field("host", "Server", required=True, max_length=253, pattern=_HOST, placeholder="smtp.example.com", only_if=_SMTP),
    Field("security", "Encryption", FieldKind.CHOICE, choices=tuple(Security.choices), default=Security.STARTTLS.value, only_if=_SMTP,
          help="Without any, only servers inside EGRESS_ALLOW_CIDRS are reached."),
    Field("port", "Port", FieldKind.INTEGER, low=1, high=65535, only_if=_SMTP, help="Empty: 587, 465 or 25, as the encryption says."),
    Field("username", "User", max_length=320, only_if=_SMTP, help="Empty: no sign-in."),
    Field("password", "Password", secret=True, max_length=1000, only_if=_SMTP, help="With a user. Some providers want an app password."),
    Field("api_key", "API key", secret=True, required=True, max_length=500, pattern=r"[\x21-\x7e]+", only_if=_API_KEY,
          help="With the right to send. Postal: the credential of a server."),
    Field("api_token", "API token", secret=True, required=True, max_length=500, pattern=r"[\x21-\x7e]+",
          only_if=_only(Way.MAILERSEND, Way.MAILTRAP)),
    Field("server_token", "Server API token", secret=True, required=True, max_length=500, pattern=r"[\x21-\x7e]+",
          only_if=_only(Way.POSTMARK), link="https://postmarkapp.com/support/article/1008-what-are-the-account-and-server-api-tokens"),
    Field("secret_key", "Secret key", secret=True, required=True, max_length=500, pattern=r"[\x21-\x7e]+",
          only_if=_only(Way.MAILJET, Way.SCALEWAY)),
    Field("access_key_id", "Access key ID", required=True, max_length=128, pattern=r"\w+", example="AKIAIOSFODNN7EXAMPLE",
          only_if=_only(Way.AMAZON_SES)),
    Field("secret_access_key", "Secret access key", secret=True, required=True, max_length=500, pattern=r"[\x21-\x7e]+",
          only_if=_only(Way.AMAZON_SES), help="Of a user who may ses:SendEmail, ses:SendRawEmail and ses:GetAccount."),
    Field("ses_region", "Region", required=True, max_length=40, pattern="[a-z0-9-]+", placeholder="eu-central-1",
          only_if=_only(Way.AMAZON_SES)),
    Field("sender_domain", "Sending domain", required=True, max_length=253, pattern=r"[A-Za-z0-9.-]+", placeholder="mg.example.com",
          only_if=_only(Way.MAILGUN)),
    Field("data_region", "Region", FieldKind.CHOICE, choices=(("us", "United States"), ("eu", "Europe")), default="us",
          only_if=_only(Way.MAILGUN, Way.SPARKPOST)),
    Field("sandbox_id", "Sandbox", max_length=40, pattern="[0-9]+", only_if=_only(Way.MAILTRAP),
          help="Mails go there instead of to their recipients."),
    Field("api_url", "Address of the API", FieldKind.URL, required=True, placeholder="https://postal.example.com",
          only_if=_only(Way.POSTAL, Way.UNISENDER_GO), help="Of your Postal server, or of your data centre at Unisender Go."),
    Field("message_stream", "Message stream", max_length=60, pattern="[a-z0-9_-]+", only_if=_only(Way.POSTMARK),
          help="Empty: the server's transactional one."),
    Field("project_id", "Project ID", required=True, max_length=60, pattern="[0-9a-fA-F-]+",
          example="0192f0c1-2b3c-7d4e-8f50-61728394a5c1", only_if=_only(Way.SCALEWAY)),
    Field("scaleway_region", "Region", max_length=40, pattern="[a-z0-9-]+", default="fr-par", only_if=_only(Way.SCALEWAY)),
)  # fmt: skip

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field("to", "To", FieldKind.WORDS, required=True, max_length=254, pattern=_ADDRESS, placeholder="security@example.com",
          example=("security@example.com",),
          help=f"Addresses alone, without names; with those in copy at most {MOST_RECIPIENTS}. All of them see each other."),
    Field("cc", "In copy", FieldKind.WORDS, max_length=254, pattern=_ADDRESS, placeholder="team-lead@example.com"),
    Field("subject_prefix", "Before each subject", max_length=60, default="[RepoGuard]", help="For filters in mail programs."),
)  # fmt: skip

_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


def port_of(config: Mapping[str, Any]) -> int:
    """Return the port of the SMTP server."""
    return int(config.get("port") or _PORTS[Security(config["security"])])


def config_errors(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return errors by field of what fields say together."""
    errors = {
        name: ["is no e-mail address; write it like repoguard@example.com."]
        for name in ("from_address", "reply_to")
        if config.get(name) and not is_address(config[name])
    }
    if config["provider"] == Way.SMTP:
        if config.get("username") and not credentials.get("password"):
            errors["password"] = ["is needed beside a user."]
        if credentials.get("password") and not config.get("username"):
            errors["username"] = ["is needed beside a password; for no sign-in, remove the password too."]
    return errors


def option_errors(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return errors by option: addresses that are none, and too many of them."""
    errors: dict[str, list[str]] = {}
    for name in ("to", "cc"):
        wrong = [address for address in options.get(name, ()) if not is_address(address)]
        if wrong:
            errors[name] = [f"{wrong[0][:80]} is no e-mail address; write it like security@example.com."]
    count = len({*options.get("to", ()), *options.get("cc", ())})
    if not errors and count > MOST_RECIPIENTS:
        errors["to"] = [f"has {count} addresses with those in copy; at most {MOST_RECIPIENTS} are allowed. Use a mailing list."]
    return errors


def is_address(text: str) -> bool:
    """Say whether a text is an address that every mail server takes: an ASCII name at a domain."""
    try:
        EmailValidator(allowlist=["localhost"])(text)
        ascii_domain(text)
    except (ValidationError, UnicodeError):
        return False
    return text.rpartition("@")[0].isascii()


def ascii_domain(address: str) -> str:
    """Return the domain of an address in the letters that headers carry. Raises UnicodeError."""
    domain = address.rpartition("@")[2]
    return domain if domain.isascii() else domain.encode("idna").decode("ascii")
