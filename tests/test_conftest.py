"""The people and the fences that every other test counts on."""

from __future__ import annotations

import os
import socket

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from pytest_socket import SocketConnectBlockedError


def test_bob_is_in_alices_team_and_charlie_is_not(alice: User, bob: User, charlie: User) -> None:
    assert set(alice.groups.all()) & set(bob.groups.all()) > set(alice.groups.all()) & set(charlie.groups.all())


def test_a_test_reaches_no_other_machine() -> None:
    # it warns before it raises, and warnings are errors here
    with socket.socket() as outside, pytest.raises((SocketConnectBlockedError, UserWarning)):
        outside.connect(("192.0.2.1", 80))


def test_a_run_has_keys_and_data_of_its_own() -> None:
    assert str(settings.DATA_DIR).startswith(os.environ["REPOGUARD_TEST_RUN_DIR"])
    assert settings.SECRET_KEY
    assert settings.FERNET_KEYS


def test_it_starts_a_real_redis(redis_url: str) -> None:
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as redis:
        redis.sendall(b"PING\r\n")
        assert redis.recv(16) == b"+PONG\r\n"
