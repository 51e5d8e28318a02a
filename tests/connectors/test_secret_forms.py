"""The form of a new secret: what a platform fixes is looked at when it is entered, not when its first request is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.signing import new_secret
from integrations import registry
from integrations.contract.inbound import Receiver
from tests.connectors.senders import SENDERS, Sender

pytestmark = pytest.mark.once
KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLIC = "whpk_" + base64.b64encode(bytes(32)).decode()
SIGNING = {"mode": "signing"}


def problem(provider: str, secret: str, config: dict[str, Any] | None = None) -> str:
    receiver = registry.find(provider)
    assert issubclass(receiver, Receiver)
    return receiver.secret_problem(secret, config or {})


@pytest.mark.parametrize("sender", [one for one in SENDERS if one.name != "stripe"], ids=lambda one: one.name)
def test_the_secrets_that_platforms_use_are_taken(sender: Sender) -> None:
    assert [sender.receiver.secret_problem(secret, sender.config) for secret in sender.secrets] == ["", ""]


def test_a_generated_secret_fits_wherever_the_platform_takes_ours() -> None:
    receivers = [one for one in registry.with_capability(Receiver) if issubclass(one, Receiver)]
    assert [one.secret_problem(new_secret(), {}) for one in receivers if not one.secret_is_given] == [""] * 8
    assert problem("gitlab", new_secret(), SIGNING) == ""
    assert all(one.key_help.endswith(".") for one in receivers)


@pytest.mark.parametrize(
    ("provider", "secret", "config"),
    [
        ("stripe", "whsec_test_not-base64-of-anything", None),
        ("standard_webhooks", f"whsec_{KEY}", None),
        ("standard_webhooks", KEY, None),
        ("standard_webhooks", PUBLIC, None),
        ("gitlab", f"whsec_{KEY}", SIGNING),
        ("gitlab", "any-token-of-ours", {"mode": "token"}),
    ],
)
def test_it_fits(provider: str, secret: str, config: dict[str, Any] | None) -> None:
    assert problem(provider, secret, config) == ""


@pytest.mark.parametrize(
    ("provider", "secret", "config", "words"),
    [
        ("stripe", "sk_live_0123456789abcdef", None, "begins with whsec_"),
        ("standard_webhooks", "whsec_test_not-base64", None, "base64 after whsec_"),
        ("standard_webhooks", "not base64 at all", None, "must be base64;"),
        ("standard_webhooks", "whsec_c2hvcnQ=", None, "at least 16 bytes in base64; it holds 5"),
        ("standard_webhooks", PUBLIC[:-8], None, "32 bytes"),
        ("gitlab", KEY, SIGNING, "begin with whsec_;"),
        ("gitlab", PUBLIC, SIGNING, "begin with whsec_;"),
        ("gitlab", "whsec_üüüüüüüüüüü", SIGNING, "base64"),
    ],
)
def test_it_does_not_fit_and_is_not_repeated(provider: str, secret: str, config: dict[str, Any] | None, words: str) -> None:
    said = problem(provider, secret, config)
    assert words in said
    assert secret.removeprefix("whsec_") not in said
