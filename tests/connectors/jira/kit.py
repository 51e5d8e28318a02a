"""Jira behind a stub, and the events of one finding, as the tests of its tickets need them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from integrations.connectors.jira.connector import Jira as Connector
from integrations.contract.connector import Context
from integrations.contract.outbound import Memory, NothingToTell, Outcome, OutgoingEvent
from integrations.contract.schema import validate_options, validate_values
from tests.connectors import told
from tests.connectors.jira.stub import Jira, StubDoor

CLOUD = ({"base_url": "https://acme.atlassian.net", "email": "bot@example.com"}, {"api_token": "tok-planted-jira"})
DATA_CENTER = ({"deployment": "data_center", "base_url": "https://acme.atlassian.net"}, {"personal_token": "tok-planted-jira"})


def connector(stub: Jira, values: tuple[dict[str, Any], dict[str, Any]] = CLOUD) -> Connector:
    """Return the connector behind the stub."""
    config, credentials = validate_values(Connector, *values)
    door = StubDoor(stub, Connector.auth(config, credentials))
    return Connector(Context(uuid.UUID(int=1), "Tickets", config, credentials, door))


def options(**more: Any) -> dict[str, Any]:
    return validate_options(Connector, {"project": "SEC", "priorities": {"critical": "Highest", "high": "High"}} | more)


def about_finding(kind: str, number: int = 1, *, later: float = 0, number_of_event: int = 0, **data: Any) -> OutgoingEvent:
    """Return an event about the finding of a number, so many seconds after the first; each second has its own event and delivery."""
    id = uuid.UUID(int=(number_of_event or int(later * 1000) + 1) + number * 2**32)
    more = {"id": id, "timestamp": told.AT + timedelta(seconds=later), "delivery_id": uuid.UUID(int=id.int + 2**40)}
    shown = told.finding(number) | {"known_exploited": False} | data
    base = told.example(f"finding.{kind}", **shown, count=1, findings=[shown])
    return told.outgoing(base.type, dict(base.data), **more)


def tell(stub: Jira, event: OutgoingEvent, memory: Memory, values: Any = CLOUD, **more: Any) -> Outcome:
    """Tell Jira of an event; where there is nothing to tell, an outcome that says so."""
    try:
        return connector(stub, values).send(event, options(**more), memory)
    except NothingToTell as nothing:
        return Outcome(ok=True, details={"did": nothing.reason})


def did(outcome: Outcome) -> str:
    """Return what an outcome says was done."""
    assert outcome.ok, outcome.error
    return str(outcome.details["did"])
