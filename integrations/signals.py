"""What other rooms may hear of integrations. Receivers run in the transaction of the change: they write rows, and call nobody."""

from __future__ import annotations

from django.dispatch import Signal

configured = Signal()
"""The configuration of `integration` was changed."""
