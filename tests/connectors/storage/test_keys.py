"""Names of objects: the same for the same event, and never outside of their place."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings

from core.errors import InvalidInput
from integrations.connectors.storage.connector import Storage
from integrations.connectors.storage.fields import host_key_parts
from integrations.connectors.storage.keys import key_of
from integrations.contract.outbound import OutgoingEvent
from integrations.contract.schema import validate_options, validate_values
from tests.connectors.told import HOSTILE, every_type, hostile_events, monsters, outgoing

pytestmark = pytest.mark.once
TEMPLATE = "events/{year}/{month}/{day}/{date}/{type}/{repository}/{id}.json"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1rK0hQ2pHkXQ5h5yq3n8c2Ff9u0mVQmQm1c0m0m0m0"
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
        ("../{id}", "one of dots alone"), ("a//{id}", "an empty part"), ("/{id}", "an empty part"), ("{id} x", "holds a blank"),
        ("{id}:", "expected form"),
    ],
)  # fmt: skip
def test_a_template_that_can_not_work_is_refused(template: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)):
        validate_options(Storage, {"key": template}, config={"place": "s3"})


@pytest.mark.parametrize(
    ("changes", "secrets", "field", "words"),
    [
        ({"host_key": HOST_KEY[:40]}, {"password": "x"}, "config.host_key", "is not whole"),
        ({"host_key": HOST_KEY.replace("ssh-ed25519", "ssh-rsa")}, {"password": "x"}, "config.host_key", "is not whole"),
        ({}, {"private_key": HOST_KEY}, "credentials.private_key", "is no private key"),
        ({}, {}, "credentials.private_key", "is needed, or a password"),
        ({}, {"private_key": "-----BEGIN PRIVATE KEY-----", "password": "x"}, "credentials.private_key", "beside a password"),
    ],
)  # fmt: skip
def test_what_no_server_could_take_is_refused_when_it_is_saved(
    changes: dict[str, str], secrets: dict[str, str], field: str, words: str
) -> None:
    config = {"place": "sftp", "host": "sftp.example.com", "username": "me", "host_key": f"sftp.example.com {HOST_KEY} a comment"} | changes
    with pytest.raises(InvalidInput) as caught:
        validate_values(Storage, config, secrets)
    assert words in caught.value.fields[field][0]
    assert list(caught.value.fields) == [field]


def test_a_host_key_may_begin_with_the_name_that_ssh_keyscan_prints() -> None:
    kind, encoded = HOST_KEY.split()
    for line in (HOST_KEY, f"sftp.example.com {HOST_KEY}", f"[10.0.0.1]:2222 {HOST_KEY} me@here"):
        assert host_key_parts(line) == (kind, encoded)
