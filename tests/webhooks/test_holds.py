"""The condition and the Python form of what holds a webhook say the same."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from django.utils import timezone

from tests.factories import WebhookFactory
from webhooks.choices import HoldReason
from webhooks.holds import held, is_held
from webhooks.models import Webhook, WebhookState

pytestmark = pytest.mark.django_db
NOW = timezone.now()
UNTIL = (None, NOW - timedelta(seconds=1), NOW, NOW + timedelta(seconds=1))


@pytest.mark.parametrize(("enabled", "until", "reason"), list(product((True, False), UNTIL, HoldReason)))
def test_both_forms_agree(enabled: bool, until: object, reason: HoldReason) -> None:
    WebhookFactory()
    WebhookState.objects.update(enabled=enabled, hold_until=until, hold_reason=reason)
    expected = not enabled or (until == UNTIL[3] and reason != HoldReason.RATE_LIMIT)
    assert is_held(WebhookState.objects.get(), NOW) is expected
    assert WebhookState.objects.filter(held(NOW)).exists() is expected
    assert Webhook.objects.filter(held(NOW, "state__")).exists() is expected
