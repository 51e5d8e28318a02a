"""Ends requests that arrive too slowly: a read blocks a thread until its bytes are there, so somebody else must look at the clock.

A body may take 30 s, and a second more for each 100 kB of it that came. What is waited for longer than two seconds holds one of a few
places meanwhile: slow senders never hold all threads of a web process. It works on the connection, and is the same for every view.
Small requests are waited for before a thread is theirs (core/supervisor/worker.py): one that is late then needs a place at once.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from django.conf import settings
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

BODY_SECONDS, HEADER_SECONDS = 30.0, 15.0
BYTES_PER_SECOND = 100_000
GRACE_SECONDS = 2.0
_TICK_SECONDS = 0.25
_IDLE_TICKS = 240
_STEP = 1024 * 1024


class SlowSender(OSError):
    """The request did not arrive in time. An OSError: readers of bodies take it for a connection that broke off."""


class NoPlaceForSlow(SlowSender):
    """Others that arrive as slowly hold all places; sent again, it may find one."""


class Wait:
    """One wait for bytes of a connection."""

    __slots__ = ("cut", "holds_place", "slow_at", "source", "until")

    def __init__(self, source: socket.socket, slow_at: float, until: float) -> None:
        self.source, self.slow_at, self.until = source, slow_at, until
        self.holds_place = False
        self.cut: type[SlowSender] | None = None


class Watch:
    """Looks at all waits of this process four times a second, in a thread that ends when there was nothing to see for a minute."""

    def __init__(self, places: int, threads: int = sys.maxsize) -> None:
        self._places, self._threads = places, threads
        self._lock = threading.Lock()
        self._waits: dict[int, Wait] = {}
        self._runs = False

    @contextmanager
    def waiting(self, source: socket.socket, seconds: float, grace: float = GRACE_SECONDS, *, at_once: bool = False) -> Iterator[Wait]:
        """Have the connection's reading side shut `seconds` from now; raises SlowSender at the end of the block if it was.

        `at_once` takes a place before the block; raises NoPlaceForSlow where there is none.
        """
        now = time.monotonic()
        wait = Wait(source, now + grace, now + seconds)
        with self._lock:
            if at_once and not self._places:
                raise NoPlaceForSlow
            if at_once:
                self._places -= 1
                wait.holds_place = True
            self._waits[id(wait)] = wait
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._look, name="slow senders", daemon=True).start()
        try:
            yield wait
        except OSError as error:
            if wait.cut is not None:
                raise wait.cut from error
            raise
        finally:
            self.end(wait)
        if wait.cut is not None:
            raise wait.cut

    def end(self, wait: Wait) -> None:
        """Stop watching a wait, and free its place; does nothing the second time."""
        with self._lock:
            if self._waits.pop(id(wait), None) and wait.holds_place:
                self._places += 1

    def _look(self) -> None:
        idle = 0
        while True:
            time.sleep(_TICK_SECONDS)
            with self._lock:
                idle = 0 if self._waits else idle + 1
                if idle > _IDLE_TICKS:
                    self._runs = False
                    return
                now = time.monotonic()
                # where every thread waits, half a second is slow: others wait for one of them
                hurry = 0.75 * GRACE_SECONDS if len(self._waits) >= self._threads else 0.0
                for wait in self._waits.values():
                    self._judge(wait, now, hurry)

    def _judge(self, wait: Wait, now: float, hurry: float) -> None:
        if wait.cut is not None or now < min(wait.slow_at - hurry, wait.until):
            return
        if now >= wait.until:
            wait.cut = SlowSender
        elif wait.holds_place:
            return
        elif self._places:
            self._places -= 1
            wait.holds_place = True
            return
        else:
            wait.cut = NoPlaceForSlow
        # the writing side stays open for the answer; under the lock, for afterwards the socket may be another's
        with suppress(OSError):
            wait.source.shutdown(socket.SHUT_RD)


class TimedInput:
    """A `wsgi.input` whose reads are watched; raises SlowSender."""

    def __init__(self, source: Any, connection: socket.socket, watch: Watch) -> None:
        self._source, self._connection, self._watch = source, connection, watch
        self._received, self._spent = 0, 0.0
        self._late = connection in late

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all that is left without one."""
        pieces: list[bytes] = []
        left = size
        while left and (piece := self._timed(self._source.read, _STEP if left < 0 else min(left, _STEP))):
            pieces.append(piece)
            left -= len(piece) if left > 0 else 0
        return b"".join(pieces)

    def readline(self, size: int = -1) -> bytes:
        """Return the next line."""
        return self._timed(self._source.readline, size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _timed(self, ask: Any, size: int) -> bytes:
        began = time.monotonic()
        allowed = BODY_SECONDS + self._received / BYTES_PER_SECOND - self._spent
        try:
            with self._watch.waiting(self._connection, allowed, GRACE_SECONDS - self._spent, at_once=self._late):
                found: bytes = ask(size)
        except SlowSender:
            self._source.failed = True  # what gunicorn looks at: what else comes of this body must not be read as a request
            raise
        except ParseException:  # no OSError, which readers of bodies take for what broke off
            self._source.failed = True
            raise OSError("A chunk of the body can't be read.") from None
        self._received += len(found)
        self._spent += time.monotonic() - began
        return found


watch = Watch(max(1, settings.WEB_THREADS // 2), settings.WEB_THREADS)
late: WeakSet[socket.socket] = WeakSet()
"""Connections whose request was waited for in vain before a thread took it."""


def time_input(environ: dict[str, Any]) -> None:
    """Have the body of a WSGI request watched, where the server shows its connection."""
    connection = environ.get("gunicorn.socket")
    if connection is not None and (environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ):
        environ["wsgi.input"] = TimedInput(environ["wsgi.input"], connection, watch)
