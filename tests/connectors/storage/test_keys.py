"""Names of objects: the same for the same event, and never outside of their place."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings

from core.errors import InvalidInput
from integrations.connectors.storage.connector import Storage
from integrations.connectors.storage.keys import key_of
from integrations.contract.outbound import OutgoingEvent
from integrations.contract.schema import validate_options
from tests.connectors.told import HOSTILE, every_type, hostile_events, monsters, outgoing

pytestmark = pytest.mark.once
TEMPLATE = "events/{year}/{month}/{day}/{date}/{type}/{repository}/{id}.json"
PART = re.compile(r"[A-Za-z0-9._=-]{1,100}")


def check(event: OutgoingEvent) -> None:
    name = key_of(event, TEMPLATE, "portal")
    assert name.startswith("portal/events/2026/11/20/2026-11-20/")
    assert all(PART.fullmatch(part) and part.strip(".") for part in name.split("/")), name
    assert len(name) <= 1024  # bytes of a key at S3, Azure and Google
    assert name == key_of(event, TEMPLATE, "portal")


def test_every_event_has_a_place() -> None:
    for event in [*every_type(), *monsters()]:
        check(event)


@settings(max_examples=40, deadline=None)
@given(event=hostile_events())
def test_no_event_leaves_its_place(event: OutgoingEvent) -> None:
    check(event)


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("../../etc/passwd", "none/none/etc/passwd"), ("acme/shop", "acme/shop"), ("", "none"), (None, "none"), ("/", "none"),
        ({"full_name": "acme/x"}, "acme/x"), ("a/./b", "a/none/b"), ("a\\..\\b", "a-..-b"), (HOSTILE[:12], "-channel-he"),
    ],
)  # fmt: skip
def test_repositories_stand_for_themselves(repository: Any, expected: str) -> None:
    event = outgoing("gate.failed", {"repository": repository})
    assert key_of(event, "{repository}/{id}").startswith(expected[:8])
    assert ".." not in key_of(event, "{repository}/{id}").split("/")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{date}.json", "must hold {id}"), ("{id}/{nothing}", "{nothing}, which stands for nothing"), ("{id}/{", "stands for nothing"),
        ("../{id}", "one of dots alone"), ("a//{id}", "an empty part"), ("/{id}", "an empty part"), ("{id} x", "expected form"),
    ],
)  # fmt: skip
def test_a_template_that_can_not_work_is_refused(template: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)):
        validate_options(Storage, {"key": template}, config={"place": "s3"})
