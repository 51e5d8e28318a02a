"""What scopes there are and what they grant."""

from __future__ import annotations

from typing import Any

import pytest

from access import scopes
from core.errors import InvalidInput


def test_all_is_everything_but_forging_system_events() -> None:
    assert scopes.granted(["all"]) == scopes.SCOPES - {"events:system"}
    assert scopes.granted(["all", "events:system"]) == scopes.SCOPES


def test_neither_verb_includes_the_other() -> None:
    assert scopes.granted(["webhooks:write"]) == {"webhooks:write"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (["all"], ["all"]),
        (["webhooks:read", "all"], ["all"]),
        (["events:system", "all"], ["all", "events:system"]),
        (["webhooks:write", "events:read", "events:read"], ["events:read", "webhooks:write"]),
    ],
)
def test_scopes_are_stored_in_one_form(given: list[str], stored: list[str]) -> None:
    assert scopes.parse(given) == stored


@pytest.mark.parametrize("given", [["webhooks:fly"], ["webhooks"], ["*"], ["ALL"], [], "all", None, [5], ["audit-log:write"]])
def test_unknown_scopes_are_refused(given: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        scopes.parse(given)
    assert "scopes" in caught.value.fields
