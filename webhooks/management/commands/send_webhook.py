"""`manage.py send_webhook`: sends what a platform would send, signed, to any receiver; on request wrongly, to see it refused."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core import redact
from core.errors import RepoGuardError
from core.http.messages import Answer, OutboundRequest
from core.http.sender import Sender
from core.texts import printable
from integrations.contract.fields import Field, FieldKind
from integrations.contract.schema import validate_source
from integrations.contract.simulated import STALE, SampleRequest, Simulated, tampered
from webhooks.inbound.keeping import kept_headers, kept_query
from webhooks.inbound.samples import Sending, of_source, simulated, simulators

VARIABLE = "SEND_WEBHOOK_SECRET"
MAX_SHOWN = 10_000
_AT_PUBLIC_URL = " The address is what PUBLIC_URL and PORT say here: set them as the portal has them, or name the URL at the end."


class Command(BaseCommand):
    """See the module's text."""

    help = "Send a webhook as a platform would, realistic and signed, to any receiver; or tampered, stale or twice, to see what it says."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("url", nargs="?", metavar="URL", help="Where to; with --source it can be left out.")
        parser.add_argument("--list", action="store_true", help="Show the providers with their events and options, and send nothing.")
        parser.add_argument("--provider", help="Whose webhook it is.")
        parser.add_argument("--event", help="The platform's word for what happened.")
        parser.add_argument("--file", metavar="FILE", help="Send these bytes as the body, instead of the sample.")
        parser.add_argument("--secret", help=f"Better in the variable {VARIABLE}, or typed when asked: arguments stand in process lists.")
        parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="An option of the source; can be repeated.")
        parser.add_argument("--source", metavar="ID", help="Take provider, options, secret and URL from this inbound source.")
        parser.add_argument("--tamper", action="store_true", help="Change the body after it was signed.")
        parser.add_argument("--stale", action="store_true", help=f"Sign with a time {STALE.total_seconds() / 3600:g} hours ago.")
        parser.add_argument("--replay", action="store_true", help="Send the same request twice.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Send, and show what was said; fails unless every answer is a success."""
        try:
            if options["list"]:
                self._list(options["provider"])
                return
            sending, url = _sending(options)
            request = self._request(sending, options)
        except RepoGuardError as error:
            raise CommandError(_told(error)) from None
        target = url + ("&" if "?" in url else "?") + urlencode(request.query) if request.query else url
        self._show_request(sending, request, url, _wrong(options), verbose=options["verbosity"] > 1)
        outgoing = OutboundRequest(target, request.headers, request.body, max_response_body=MAX_SHOWN)
        answers = asyncio.run(_post([outgoing] * (2 if options["replay"] else 1)))
        hidden = [sending.secret, quote_plus(sending.secret), *_credentials(sending, request)]
        for number, answer in enumerate(answers, 1):
            self._show_answer(answer, hidden, f" ({number} of {len(answers)})" if options["replay"] else "")
        if not all(answer.status is not None and 200 <= answer.status < 300 for answer in answers):
            if any(answer.status for answer in answers):
                raise CommandError("The receiver did not take it.")
            raise CommandError("Nothing was delivered." + (_AT_PUBLIC_URL if options["source"] and not options["url"] else ""))

    def _request(self, sending: Sending, options: dict[str, Any]) -> SampleRequest:
        """Return the request that is asked for, right or wrong on purpose."""
        receiver, secret, config = sending.receiver, sending.secret, sending.config
        if not options["event"]:
            raise CommandError(f"Name an --event. {receiver.title} has the samples {', '.join(one.event for one in receiver.samples)}.")
        now = datetime.now(UTC)
        signed_at = now - STALE if options["stale"] else now
        request = receiver.request(options["event"], secret, config, id=uuid.uuid4(), now=signed_at, body=_file(options["file"]))
        if options["stale"] and receiver.takes(request, secret, config, now):
            raise CommandError(f"{receiver.title} signs no time in this way, so no request of it is ever too old; leave --stale out.")
        if options["tamper"]:
            request = replace(request, body=tampered(request.body))
            if not options["stale"] and receiver.takes(request, secret, config, now):
                self.stderr.write(f"{receiver.title} does not sign the body in this way: a receiver can't notice that it was changed.")
        return request

    def _list(self, provider: str | None) -> None:
        for receiver in [simulated(provider)] if provider else simulators():
            self._say(f"{self.style.MIGRATE_HEADING(receiver.key)}  {receiver.title}")
            for sample in receiver.samples:
                self._say(f"  --event {sample.event:<32} {sample.about}")
            for field in receiver.source_fields:
                self._say(f"  --option {field.name}={_shown(field):<{30 - len(field.name)}} {field.title}")

    def _show_request(self, sending: Sending, request: SampleRequest, url: str, wrong: str, *, verbose: bool) -> None:
        secret = sending.secret
        query = urlencode(kept_query(request.query, [secret], verified=True), safe="*")
        self._say(f"POST {redact.url(url)}{'?' + query if query else ''}")
        for name, value in kept_headers(request.headers, [secret], verified=True).items():
            self._say(f"  {printable(name)}: {printable(_without(value, [secret]), 300)}")
        self._say(f"  {len(request.body):,} bytes: {request.event} of {sending.receiver.title}{wrong}")
        if verbose:
            self._say(printable(_without(request.body.decode(errors="replace"), [secret]), MAX_SHOWN, keep="\n\t"))

    def _show_answer(self, answer: Answer, hidden: list[str], which: str) -> None:
        if answer.status is None:
            self._say(self.style.ERROR(f"No answer{which}: {answer.error}"))
            return
        good = 200 <= answer.status < 300
        took = f" in {answer.timings.total_ms:.0f} ms" if answer.timings.total_ms is not None else ""
        self._say((self.style.SUCCESS if good else self.style.ERROR)(f"Answered {answer.status}{which}{took}"))
        said = redact.body(_without(answer.body.decode(errors="replace"), hidden))
        if said.strip():
            self._say(printable(said.rstrip(), MAX_SHOWN, keep="\n\t"))
        if answer.error:
            self._say(self.style.ERROR(answer.error))

    def _say(self, line: str) -> None:
        self.stdout.write(line)


def _sending(options: dict[str, Any]) -> tuple[Sending, str]:
    """Return whose request it is with secret and options, and where it goes."""
    provider, url = options["provider"], options["url"]
    if options["source"]:
        found, own = of_source(options["source"], provider)
        return replace(found, config=_config(found.receiver, options["option"], found.config)), url or own
    if not provider:
        known = ", ".join(receiver.key for receiver in simulators())
        raise CommandError(f"Name a --provider ({known}), or a --source; --list shows the events of each.")
    receiver = simulated(provider)
    if not url:
        raise CommandError("Name the URL to send to, at the end.")
    config = _config(receiver, options["option"], {})
    return Sending(receiver, config, _secret(options["secret"])), url


def _config(receiver: type[Simulated], given: list[str], stored: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {field.name: field.kind for field in receiver.source_fields}
    usual = {field.name: field.default for field in receiver.source_fields if field.required and field.default is not None}
    values = {**usual, **stored}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"--option {text!a} is not of the form NAME=VALUE.")
        values[name] = int(value) if kinds.get(name) == FieldKind.INTEGER and value.isdecimal() else value
    return validate_source(receiver, values)


def _secret(given: str | None) -> str:
    """Return the secret: from the argument, the environment, a pipe, or as it is typed."""
    secret = given or os.environ.get(VARIABLE, "")
    if not secret:
        secret = getpass.getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.readline()
    secret = secret.strip("\r\n")
    if not secret.strip():
        raise CommandError(f"There is no secret: set {VARIABLE}, type it when asked, or pipe it in.")
    return secret


def _wrong(options: dict[str, Any]) -> str:
    """Return in words what is wrong on purpose."""
    old = f", signed with a time {STALE.total_seconds() / 3600:g} hours ago" if options["stale"] else ""
    return old + (", changed after it was signed" if options["tamper"] else "")


def _told(error: RepoGuardError) -> str:
    """Return an error in the words of the command line."""
    said = [f"--{name.replace('config.', 'option ')} {sentence}" for name, sentences in error.fields.items() for sentence in sentences]
    return " ".join(said) or error.message


def _file(path: str | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"--file {path}: {error.strerror}.") from None


async def _post(requests: list[OutboundRequest]) -> list[Answer]:
    sender = Sender(limit=1)
    await sender.start()
    try:
        return [await sender.send(request) for request in requests]
    finally:
        await sender.close()


def _credentials(sending: Sending, request: SampleRequest) -> Iterator[str]:
    """Yield the headers that are not shown: a receiver may repeat them in its answer."""
    shown = kept_headers(request.headers, [sending.secret], verified=True)
    for name, value in request.headers.items():
        if shown[name] != value:
            yield value


def _without(text: str, secrets: list[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, redact.MASK)
    return text


def _shown(field: Field) -> str:
    if field.choices:
        return "|".join(value for value, _ in field.choices)
    return str(field.default if field.default is not None else field.placeholder or "…")
