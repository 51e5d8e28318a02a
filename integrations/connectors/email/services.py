"""Mail through the APIs of mail services: django-anymail's backends, whose requests all go through the door."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from anymail.exceptions import (
    AnymailError,
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)
from django.core.mail import EmailMultiAlternatives
from django.utils.module_loading import import_string

from core.errors import InvalidInput
from core.http.client import Door
from core.http.door import BadAnswer
from core.http.libraries import session
from integrations.connectors.email.fields import Way
from integrations.connectors.email.sent import Refusal, Sent

Values = Mapping[str, Any]
Shown = Callable[[str], str]
_MAILGUN = {"us": "https://api.mailgun.net/v3", "eu": "https://api.eu.mailgun.net/v3"}
_SPARKPOST = {"us": "https://api.sparkpost.com/api/v1", "eu": "https://api.eu.sparkpost.com/api/v1"}
_UNREADABLE = (LookupError, TypeError, AttributeError, ValueError, RecursionError)
_REFUSED = frozenset({"invalid", "rejected", "failed"})


def addresses_of(config: Values) -> str:
    """Return the address of a service's API where a configuration chooses among several, else ""."""
    way = Way(config["provider"])
    if way == Way.MAILGUN:
        return _MAILGUN[config["data_region"]]
    if way == Way.SPARKPOST:
        return _SPARKPOST[config["data_region"]]
    return str(config.get("api_url", "")).rstrip("/")


def backend_of(config: Values, credentials: Values, door: Door) -> Any:
    """Return the backend of a service, made of this integration's values alone, and on the door."""
    way = Way(config["provider"])
    options: dict[str, Any] = {"ignore_unsupported_features": True, **credentials}
    for name in ("sender_domain", "message_stream", "sandbox_id", "project_id"):
        if config.get(name):
            options[name] = config[name]
    if way == Way.SCALEWAY:
        options["region"] = config["scaleway_region"]
    if address := addresses_of(config):
        options["api_url"] = address
    if way == Way.AMAZON_SES:
        return _ses(config, credentials, door)
    backend = import_string(f"anymail.backends.{way.value}.EmailBackend")(**options)
    backend.session = session(door)
    return backend


def _ses(config: Values, credentials: Values, door: Door) -> Any:
    from anymail.backends.amazon_ses import EmailBackend  # noqa: PLC0415 - with boto3, which takes a while: where it is used

    from core.http.aws import through  # noqa: PLC0415

    backend = EmailBackend(
        session_params={
            "aws_access_key_id": config["access_key_id"],
            "aws_secret_access_key": credentials["secret_access_key"],
            "region_name": config["ses_region"],
        },
        client_params={"config": {"retries": {"total_max_attempts": 1}, "ignore_configured_endpoint_urls": True}},
        ignore_unsupported_features=True,
    )
    backend.open()
    through(door, backend.client)
    return backend


def send(config: Values, credentials: Values, door: Door, mail: EmailMultiAlternatives, shown: Shown) -> Sent:
    """Send a mail. Raises OutboundError, and InvalidInput for what the service can't be told."""
    title = Way(config["provider"]).label
    backend = backend_of(config, credentials, door)
    try:
        backend.send_messages([mail])
    except BadAnswer as error:
        raise refused(error, title, shown) from error
    except AnymailRecipientsRefused:
        raise BadAnswer(
            f"{title} refused all recipients: {', '.join(mail.recipients()[:5])}. Correct the addresses, or take them off its list of "
            "suppressed ones.",
            code="recipients_refused",
            permanent=True,
        ) from None
    except AnymailError as error:
        raise _misread(error, title, shown) from None
    except unreadable(config):
        raise _unreadable(title) from None
    finally:
        backend.close()
    status: Any = mail.anymail_status  # type: ignore[attr-defined]
    found = {address: Refusal(one.status) for address, one in status.recipients.items() if one.status in _REFUSED}
    return Sent(found, str(status.message_id or "")[:200] if not isinstance(status.message_id, set) else "")


def unreadable(config: Values) -> tuple[type[Exception], ...]:
    """Return what a service's library raises on answers that the service never gives."""
    if config["provider"] != Way.AMAZON_SES:
        return _UNREADABLE
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded by now
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    return (*_UNREADABLE, BotoCoreError, ClientError, ResponseParserError)


def _misread(error: AnymailError, title: str, shown: Shown) -> BadAnswer | InvalidInput:
    """Return what an error of anymail itself means: a yes that says no, or a mail that the service can't be told."""
    if isinstance(error, AnymailUnsupportedFeature | AnymailInvalidAddress | AnymailSerializationError):
        return InvalidInput.of("mail", f"can't be told to {title}: {shown(str(error.args[0]) if error.args else type(error).__name__)}.")
    reason = reason_in(getattr(getattr(error, "response", None), "content", b""))
    if not reason:
        return _unreadable(title)
    return BadAnswer(
        f"{title} did not take the mail: {shown(reason)}. Check sender, recipients and key.", code="mail_refused", permanent=True
    )


def _unreadable(title: str) -> BadAnswer:
    return BadAnswer(f"{title} took the mail, maybe: its answer can't be read. Look into its log of mails.")


def refused(error: BadAnswer, title: str, shown: Shown) -> BadAnswer:
    """Return a refusal with the service's own reason."""
    reason = reason_in(error.body)
    if not reason:
        return error
    return BadAnswer(
        f"{title} answered {error.status_code}: {shown(reason)}. Check sender, recipients and key.",
        status_code=error.status_code, body=error.body, headers=error.headers, code=error.code, permanent=error.permanent,
        retry_after=error.retry_after,
    )  # fmt: skip


def reason_in(body: bytes) -> str:
    """Return the sentence in an error's body, wherever services put it, or ""."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for _ in range(6):
        if isinstance(said, list):
            said = said[0] if said else ""
        if isinstance(said, str):
            return said.strip().rstrip(".")
        if not isinstance(said, Mapping):
            return ""
        names = ("message", "Message", "ErrorMessage", "detail", "error", "errors", "Messages", "Errors", "data")
        said = next((said[name] for name in names if said.get(name)), "")
    return ""


def basic(user: str, password: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
