"""Several senders at once of the deliveries of bench.traffic: what got no 2xx is sent again, as platforms do or people have them do."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.traffic import Delivery

_PAUSE_SECONDS = 0.2


@dataclass
class Sent:
    """What the senders were answered."""

    seconds: float = 0.0
    ids: list[str] = field(default_factory=list)
    """The receipt named by each answer with a 2xx."""
    answers: Counter[str] = field(default_factory=Counter)
    """Of what status, or which error of the connection; each try counts."""
    broken: Counter[str] = field(default_factory=Counter)
    """How often a delivery was sent again because no answer came: it may have been stored all the same."""


def send(
    port: int,
    sources: dict[str, str],
    sent: Sequence[Delivery],
    senders: int,
    *,
    meanwhile: Callable[[], None] = lambda: None,
    resend: bool = True,
) -> Sent:
    """Send everything, and do something beside it; returns when each delivery got its 2xx, or any answer without `resend`."""
    report, left, lock = Sent(), list(reversed(sent)), threading.Lock()

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while True:
            with lock:
                if not left:
                    return
                delivery = left.pop()
            path = f"/api/v1/webhook/{delivery.provider}/{sources[delivery.provider]}"
            while (status := _answer(connection, path, delivery, report, lock)) // 100 != 2 and (resend or not status):
                time.sleep(_PAUSE_SECONDS)

    threads = [threading.Thread(target=work) for _ in range(senders)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    meanwhile()
    for thread in threads:
        thread.join()
    report.seconds = time.monotonic() - began
    return report


def _answer(connection: http.client.HTTPConnection, path: str, delivery: Delivery, report: Sent, lock: threading.Lock) -> int:
    """Return the status of the answer, 0 where none came."""
    try:
        connection.request("POST", path, delivery.body, delivery.headers())
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        with lock:
            report.answers[type(error).__name__] += 1
            report.broken[delivery.id] += 1
        return 0
    with lock:
        report.answers[str(answer.status)] += 1
        if answer.status == 202:
            report.ids.append(json.loads(body)["id"])
    return answer.status
