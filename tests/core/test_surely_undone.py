from __future__ import annotations

import pytest

from core.errors import AddressRefused, InvalidInput, RepoGuardError
from core.http.door import BadAnswer, CallFailed, CircuitOpen, Throttled, surely_undone

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("error", "undone"),
    [
        (BadAnswer("No.", status_code=422), True), (BadAnswer("No.", status_code=409), True),
        (BadAnswer("Elsewhere.", status_code=302), True),
        (BadAnswer("Too slow.", status_code=408), False), (BadAnswer("Failed.", status_code=500), False),
        (BadAnswer("Odd.", status_code=200, permanent=True), False),
        (BadAnswer("Not parameterized.", status_code=500, permanent=True), True),
        (CallFailed("No route.", code="connect"), True), (CallFailed("No answer.", code="timeout"), False),
        (Throttled("Later."), True), (CircuitOpen("Later."), True), (AddressRefused("Inner."), True), (InvalidInput("No."), True),
    ],
)  # fmt: skip
def test_what_was_refused_or_never_sent_did_nothing(error: RepoGuardError, undone: bool) -> None:
    assert surely_undone(error) is undone
