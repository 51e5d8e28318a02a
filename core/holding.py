"""Requests that are held until something has happened: few at a time, and without a connection to the database meanwhile.

A held request occupies a thread, so at most a quarter of a process's threads are given to them. Waiting ends when the time is up, the
client has left, or the process is told to end, whichever comes first.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import connections
from django.http import HttpRequest

from core.errors import Unavailable
from core.places import Places

T = TypeVar("T")
_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 2.0
_TICK_SECONDS = 0.25


places = Places(one_in=4, at_least=0)


class _Process:
    """Says whether this process was told to end; the web worker knows."""

    ending: Callable[[], bool] = staticmethod(bool)


def end_when(ending: Callable[[], bool]) -> None:
    """Have nothing held any more once this says so; called by the web worker at its start."""
    _Process.ending = staticmethod(ending)


def until(request: HttpRequest, seconds: float, ask: Callable[[], T]) -> T:
    """Return what `ask` answers; while it raises Unavailable, ask again for `seconds`, if a place is free. Raises what it raised last."""
    try:
        return ask()
    except Unavailable:
        if seconds <= 0:
            raise
        if not places.take():
            raise
        try:
            return _hold(request, time.monotonic() + seconds, ask)
        finally:
            places.give_back()


def _hold(request: HttpRequest, deadline: float, ask: Callable[[], T]) -> T:
    step = _FIRST_SECONDS
    while True:
        # apart from each other, or all that wait for one thing would ask at the same moment
        goes_on = _pause(request, min(deadline, time.monotonic() + random.uniform(0.5, 1.0) * step))  # noqa: S311
        try:
            return ask()
        except Unavailable:
            if not goes_on or time.monotonic() >= deadline:
                raise
        step = min(step * 1.5, _LONGEST_SECONDS)


def _pause(request: HttpRequest, until: float) -> bool:
    """Wait without a connection to the database; returns whether it is still worth it."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
    client = request.META.get("gunicorn.socket")
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _TICK_SECONDS))
        if _Process.ending() or _has_left(client):
            return False
    return True


def _has_left(client: socket.socket | None) -> bool:
    """Say whether the other end closed the connection; what it may have sent behind its request is left alone."""
    if client is None:
        return False
    try:
        return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except (BlockingIOError, ValueError):  # nothing came; TLS can't be looked into
        return False
    except OSError:
        return True
