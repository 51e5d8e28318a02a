"""`manage.py catch_webhooks`: a local receiver that prints and verifies what arrives, and can misbehave on purpose."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from aiohttp import web  # noqa: TID251 - a server; it calls nobody
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core import signing
from core.errors import InvalidInput
from core.texts import printable
from webhooks.management.platforms import ENTER, PLATFORMS, Asked, Platform

MAX_BODY = 64 * 1024 * 1024
MAX_SHOWN = 10_000
DRIP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Manners:
    """How the receiver behaves."""

    status: int
    delay: float
    drip: bool
    close: bool
    retry_after: int | None
    fail_first: int


@dataclass(slots=True)
class Catch:
    """One delivery as it arrived."""

    id: str
    type: str
    verdict: str
    seen: int
    answer: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def verified(self) -> bool:
        """Say whether a given secret signed it."""
        return self.verdict == "verified"


class Catcher:
    """Answers requests as `manners` say, and hands each delivery to `report`."""

    def __init__(self, manners: Manners, secrets: list[str], report: Any, platform: Platform | None = None) -> None:
        self.platform = platform
        self.manners = manners
        self.secrets = secrets
        self.report = report
        self.count = 0
        self.verified = 0
        self.seen: Counter[str] = Counter()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if self.platform is not None:
            return await self._as_platform(self.platform, request)
        if request.method != "POST":
            return web.Response(text="catch_webhooks is listening; POST webhooks to this address.\n")
        body = await request.read()
        self.count += 1
        number = self.count
        self.report(self._catch(request, body, number))
        if self.manners.delay:
            await asyncio.sleep(self.manners.delay)
        if self.manners.close and request.transport is not None:
            request.transport.abort()
        if self.manners.drip:
            return await self._drip(request)
        return self._answer(number)

    async def _as_platform(self, platform: Platform, request: web.BaseRequest) -> web.Response:
        """Answer as a platform does; what is only asked of it is not reported."""
        body = await request.read()
        reads = request.method in ("GET", "HEAD")
        if not reads:
            self.count += 1
        said = platform(Asked(request.method, request.path, body, self.count, f"http://{request.host}"))
        fails = not reads and self._status(self.count) >= 300
        if not reads:
            self.seen[f"request {self.count}"] = 1  # such requests carry no id: none is known for a duplicate
            answer = f"answered {self._status(self.count) if fails else said.status}"
            self.report(Catch("", f"{request.method} {printable(request.path)}", "", 1, answer, dict(request.headers), body))
        if fails:
            return self._answer(self.count)
        return web.Response(status=said.status, text=said.body, content_type=said.kind, headers=said.headers)

    def _catch(self, request: web.BaseRequest, body: bytes, number: int) -> Catch:
        try:
            message = json.loads(body)
        except ValueError:
            message = None
        known = message if isinstance(message, dict) else {}
        message_id = printable(request.headers.get(signing.ID_HEADER) or str(known.get("id") or ""))
        # what has no id can't be known for a duplicate: chat messages and forms are counted one by one
        self.seen[message_id or f"(no id) {number}"] += 1
        verdict = self._verdict(request, body)
        self.verified += verdict == "verified"
        kind = printable(str(known.get("type") or "(no type)"))
        return Catch(message_id or "(no id)", kind, verdict, self.seen[message_id] or 1, self._intent(number), dict(request.headers), body)

    def _status(self, number: int) -> int:
        return 500 if number <= self.manners.fail_first else self.manners.status

    def _intent(self, number: int) -> str:
        if self.manners.close:
            return "closed the connection"
        return "dripped" if self.manners.drip else f"answered {self._status(number)}"

    def _verdict(self, request: web.BaseRequest, body: bytes) -> str:
        if not self.secrets:
            return "no secret given"
        try:
            signing.verify(self.secrets, request.headers, body, time.time())
        except signing.BadSignatureError as bad:
            return f"NOT verified: {bad}"
        return "verified"

    def _answer(self, number: int) -> web.Response:
        status = self._status(number)
        headers = {} if self.manners.retry_after is None or status < 400 else {"Retry-After": str(self.manners.retry_after)}
        if status < 300:
            return web.Response(status=status, headers=headers)
        return web.Response(status=status, headers=headers, text=f"catch_webhooks was told to answer {status}\n")

    async def _drip(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=self.manners.status)
        await response.prepare(request)
        try:
            while True:
                await response.write(b".")
                await asyncio.sleep(DRIP_SECONDS)
        except ConnectionError:  # the sender lost its patience
            return response


class Command(BaseCommand):
    """See the module's text."""

    help = "Receive webhooks on this machine: prints each, verifies its signature, and can misbehave (status, delay, drip, close, 410)."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--port", type=int, default=9000, help="TCP port (9000); 0 takes a free one and prints it.")
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (127.0.0.1).")
        parser.add_argument("--secret", action="append", default=[], help="The webhook's whsec_…; repeat it during a rotation.")
        parser.add_argument("--status", type=int, default=None, help="Status of every answer (200, or 429 with --retry-after).")
        parser.add_argument("--delay", type=float, default=0.0, help="Seconds to wait before each answer.")
        parser.add_argument("--drip", action="store_true", help="Answer one byte every half second, without end.")
        parser.add_argument("--close", action="store_true", help="Close the connection instead of answering.")
        parser.add_argument("--retry-after", type=int, default=None, metavar="SECONDS", help="Ask to be left alone for so long.")
        parser.add_argument("--gone", action="store_true", help="Answer 410 Gone, which disables the webhook.")
        parser.add_argument("--fail-first", type=int, default=0, metavar="N", help="Answer the first N with 500.")
        parser.add_argument("--as", dest="platform", choices=sorted(PLATFORMS), help="Answer as this platform does, to try it without one.")
        parser.add_argument("--count", action="store_true", help="Print totals once a second instead of every delivery.")
        parser.add_argument("--quiet", action="store_true", help="Print nothing but the first and the last line.")
        parser.add_argument("--save", metavar="FILE", help="Append one JSON line for each delivery, headers and body included.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Listen until interrupted."""
        try:
            secrets = [signing.check_secret(secret) for secret in options["secret"]]
        except InvalidInput as invalid:
            raise CommandError(f"--{invalid.message} Give the webhook's own secret; without --secret nothing is verified.") from None
        self.verbose: bool = options["verbosity"] > 1
        self.enter: str = ENTER.get(options["platform"], "")
        self.silent: bool = options["quiet"] or options["count"]
        self.file: TextIO | None = None
        try:
            if options["save"]:
                self.file = open(options["save"], "a", encoding="utf-8")  # noqa: SIM115 - open while the command runs
            catcher = Catcher(manners_of(options), secrets, self._report, PLATFORMS.get(options["platform"]))
            asyncio.run(self._listen(catcher, options["host"], options["port"], counting=options["count"]))
        except OSError as exc:
            raise CommandError(f"{exc.strerror or exc}; choose another --port, --host or --save file.") from None
        finally:
            if self.file is not None:
                self.file.close()

    async def _listen(self, catcher: Catcher, host: str, port: int, *, counting: bool) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop.set)

        def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)

        server = web.Server(catcher.handle, request_factory=request, access_log=None)
        listener = await loop.create_server(server, host, port, backlog=1024)
        shown = f"[{host}]" if ":" in host else host
        base = f"http://{shown}:{listener.sockets[0].getsockname()[1]}/"
        self._say(f"Listening on {base} (stop with Ctrl-C)")
        if catcher.platform is not None:
            self._say(f"Enter in the portal, which needs EGRESS_ALLOW_CIDRS=127.0.0.0/8: {self.enter.format(base=base)}")
        ticker = asyncio.create_task(self._tick(catcher)) if counting else None
        try:
            await stop.wait()
        finally:
            if ticker is not None:
                ticker.cancel()
            listener.close()
            await server.shutdown(timeout=0.2)
            self._say(_totals(catcher))

    async def _tick(self, catcher: Catcher) -> None:
        shown = 0
        while True:
            await asyncio.sleep(1)
            if catcher.count != shown:
                shown = catcher.count
                self._say(_totals(catcher))

    def _report(self, catch: Catch) -> None:
        now = datetime.now(UTC)
        if self.file is not None:
            kept = {"id": catch.id, "type": catch.type, "verified": catch.verified, "at": now.isoformat(), "headers": catch.headers}
            self.file.write(json.dumps({**kept, "body": catch.body.decode(errors="replace")}) + "\n")
            self.file.flush()
        if self.silent:
            return
        again = f"  duplicate, seen {catch.seen} times" if catch.seen > 1 else ""
        told = "  ".join(part for part in (self._painted(catch) if catch.verdict else "", f"{catch.answer}{again}") if part)
        shown = [f"{now.astimezone():%H:%M:%S}", catch.type, catch.id, f"{len(catch.body):,} bytes", told]
        self._say("  ".join(part for part in shown if part))
        if self.verbose:
            self._say(printable(catch.body.decode(errors="replace"), MAX_SHOWN, keep="\n\t"))

    def _painted(self, catch: Catch) -> str:
        if catch.verified:
            return self.style.SUCCESS(catch.verdict)
        return self.style.ERROR(catch.verdict) if catch.verdict.startswith("NOT") else self.style.WARNING(catch.verdict)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def manners_of(options: dict[str, Any]) -> Manners:
    """Return the manners that the command's options ask for; raises CommandError."""
    status = options["status"] or (429 if options["retry_after"] is not None else 200)
    if not 200 <= status <= 599:
        raise CommandError("--status must lie between 200 and 599.")
    if options["delay"] < 0:
        raise CommandError("--delay can't be negative.")
    return Manners(
        status=410 if options["gone"] else status,
        delay=options["delay"],
        drip=options["drip"],
        close=options["close"],
        retry_after=options["retry_after"],
        fail_first=options["fail_first"],
    )


def _totals(catcher: Catcher) -> str:
    different = len(catcher.seen)
    checked = f", {catcher.verified:,} verified" if catcher.secrets else ""
    return f"{catcher.count:,} deliveries, {different:,} different, {catcher.count - different:,} duplicates{checked}"
