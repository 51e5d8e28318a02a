"""Tells PagerDuty: which alert an event opens, changes or resolves, and what PagerDuty answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.http.client import Door
from core.http.door import BadAnswer
from integrations.connectors.pagerduty import layout
from integrations.connectors.pagerduty.fields import Others, address
from integrations.contract.message import Message, Standing
from integrations.contract.outbound import Memory, NothingToTell, Outcome, OutgoingEvent
from integrations.contract.payloads import peek
from integrations.contract.telling import Once, busy, once, order_of, tell_latest

ALERTS, CHANGES = "/v2/enqueue", "/v2/change/enqueue"
ACCEPTED = 202
PROVIDER = "pagerduty"
_RESOLVED = "resolved:"
_ORCHESTRATION = "R"


class Sending:
    """Tells of events under one integration key."""

    def __init__(self, door: Door, config: Mapping[str, Any], key: str, shown: Callable[[str], str]) -> None:
        self._door, self._base, self._key, self._shown = door, address(config), key, shown

    def send(self, message: Message, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Tell of an event. Raises NothingToTell for one that PagerDuty need not hear of, and what the door raises."""
        if event.type.startswith("inbound.") and event.data.get("provider") == PROVIDER:
            raise NothingToTell("it came from PagerDuty, which would tell of its own alerts for ever.")
        if message.standing is Standing.RESOLVED:
            return self._resolve(message, event, memory)
        if layout.is_open(message):
            _check_floor(message, options)
            key = layout.dedup_key(message.alert_key)
            tell_latest(memory, key, event, layout.alert(message, key), self.post)
            return _told("alert", key)
        return self._tell_other(message, event, options, memory)

    def post(self, told: Mapping[str, Any], path: str = ALERTS) -> None:
        """Hand over an alert or change event. Raises BadAnswer that says what PagerDuty has against it."""
        try:
            reply = self._door.request("POST", f"{self._base}{path}", json={"routing_key": self._key, **told}, expected={ACCEPTED})
        except BadAnswer as error:
            raise self._explained(error) from error
        if not isinstance(said := reply.json(), dict) or said.get("status") != "success":
            raise BadAnswer("PagerDuty took the event without saying success. Is the address that of its Events API?", status_code=202)

    def _resolve(self, message: Message, event: OutgoingEvent, memory: Memory) -> Outcome:
        told = layout.resolution(message)
        key, order = told["dedup_key"], order_of(event)
        before = memory.recall(key)
        if before and before.data == told and before.external_id <= order and memory.get(_RESOLVED + key) == before.external_id:
            # what passes again and again resolves nothing; but it may have overtaken something that is yet to be told
            memory.latest(key, order, told)
            memory.replace(_RESOLVED + key, order)
            raise NothingToTell("its alert is resolved already.")
        tell_latest(memory, key, event, told, self.post)
        memory.replace(_RESOLVED + key, order)
        return _told("resolve", key)

    def _tell_other(self, message: Message, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Tell of what neither opens nor resolves anything."""
        how = options.get("others", Others.CHANGE)
        if how == Others.NOTHING:
            raise NothingToTell("the event neither opens nor resolves an alert, and “Other events” is set to nothing.")
        if how == Others.ALERT:
            _check_floor(message, options)
            key = layout.dedup_key(f"event:{event.id}")
            self.post(layout.alert(message, key))
            return _told("alert", key)
        if self._key.startswith(_ORCHESTRATION):
            sentence = "The integration key is that of an orchestration (R…), which takes no change events: set “Other events” to nothing."
            return Outcome(ok=False, permanent=True, error=sentence)
        made = once(memory, f"change:{event.id}", event, lambda: self.post(layout.change(message), CHANGES))
        if made is Once.BUSY:
            return busy("Another delivery of this event is at it just now; this one follows.")
        return Outcome(ok=True, status=None if made is Once.BEFORE else ACCEPTED, details={"change event": made.value})

    def _explained(self, error: BadAnswer) -> BadAnswer:
        if error.status_code not in (400, 413):
            return error
        sentence = "PagerDuty refused the event"
        if said := _reasons(error.body):
            sentence += f": {self._shown(said)}"
        sentence += ". Check the integration key and the region of the account." if error.status_code == 400 else "; it is too large."
        return BadAnswer(sentence, status_code=error.status_code, body=error.body, permanent=True)


def _check_floor(message: Message, options: Mapping[str, Any]) -> None:
    floor, severity = options.get("min_severity", layout.SEVERITIES[0]), layout.severity_of(message)
    if layout.SEVERITIES.index(severity) < layout.SEVERITIES.index(floor):
        raise NothingToTell(f"its severity is {severity}, and alerts are opened from {floor} on.")


def _told(what: str, key: str) -> Outcome:
    return Outcome(ok=True, status=ACCEPTED, details={"sent": what, "dedup_key": key})


def _reasons(body: bytes) -> str:
    said = peek(body)
    errors = said.get("errors")
    listed = [one for one in errors if isinstance(one, str)] if isinstance(errors, list) else []
    message = said.get("message")
    return "; ".join([message, *listed] if isinstance(message, str) else listed).rstrip(". ")
