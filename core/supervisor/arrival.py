"""Says whether so much of a request arrived that a thread should read it, without taking a byte from its connection."""

from __future__ import annotations

import re
import socket
from contextlib import suppress

MOST = 64 * 1024
"""So much of a request is waited for without a thread: a larger one is read as it comes."""
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Arrival:
    """A request on its way. `ahead` is what of it was read with the request before."""

    def __init__(self, connection: socket.socket, ahead: bytes = b"") -> None:
        self._connection, self._ahead = connection, ahead
        self._wanted = 0
        self._told = False
        self.has_head = False

    def is_enough(self) -> bool:
        """Look at what came; where it is not enough, the connection becomes readable only when more is there, or it ends."""
        try:
            return self._looks_enough()
        except OSError:
            return True  # whoever reads it finds out

    def _looks_enough(self) -> bool:
        try:
            got = self._connection.recv(MOST, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            if len(got) < max(1, self._wanted):
                return True  # readable all the same: it ended
        except BlockingIOError:
            got = b""
        missing = self._missing(got)
        if missing:
            self._wanted = len(got) + missing
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self._wanted)
        return not missing

    def _missing(self, got: bytes) -> int:
        """Return how many bytes more to wait for."""
        have = self._ahead + got
        end = have.find(_END)
        if end < 0:
            return 0 if len(have) >= MOST else 1
        self.has_head = True
        head = have[: end + 2]
        whole = self._whole(have, head, end + len(_END))
        missing = max(0, min(whole, MOST) - len(have))
        if missing and not self._told and _EXPECTS.search(head):
            self._told = True
            # its sender waits for this, and may be told more than once
            with suppress(OSError):
                self._connection.send(_CONTINUE, socket.MSG_DONTWAIT)
        return missing

    def _whole(self, have: bytes, head: bytes, behind: int) -> int:
        """Return how long the request is; of one in chunks, a byte more than there is until its last chunk came."""
        if _CHUNKED.search(head):
            return len(have) if have.endswith(b"0\r\n\r\n") else len(have) + 1
        length = _LENGTH.search(head)
        return behind + (int(length[1]) if length else 0)

    def end(self) -> None:
        """Have the connection readable again as soon as a byte is there."""
        if self._wanted:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
