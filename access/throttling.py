"""Rate limits: requests of a key, and failed authentications of an address. Counted by django-ratelimit on core.counters."""

from __future__ import annotations

import ipaddress
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from access.addresses import client_address, parse_address
from access.models import ApiKey
from core import counters
from core.errors import RateLimited, Unavailable

if TYPE_CHECKING:  # settings.REST_FRAMEWORK names this module, so it is loaded before DRF's views are
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)
FAILURES_PER_MINUTE = 30
_RETRY_SECONDS = 5
_ATTRIBUTE = "_access_rate"


@dataclass(frozen=True)
class RateState:
    """Where a key stands in its present minute; `reset` is seconds since 1970."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """Return the headers that tell the caller."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class KeyRateThrottle(BaseThrottle):
    """Counts the requests of a key against its rate (settings.API_KEY_RATE by default); sessions and unlimited keys pass."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request; raises RateLimited beyond the rate, Unavailable when it can't be counted."""
        key = request.auth
        if not isinstance(key, ApiKey) or key.unlimited:
            return True
        limit = key.rate_per_minute or settings.API_KEY_RATE
        usage = _count(request._request, "access.key", str(key.id), limit)
        reset = int(time.time()) + _seconds(usage)
        setattr(request._request, _ATTRIBUTE, RateState(limit, max(0, limit - usage["count"]), reset))
        if usage["should_limit"]:
            raise RateLimited(f"This key has used its {limit} requests a minute; wait {_seconds(usage)} s.", retry_after=_seconds(usage))
        return True


def rate_state(request: HttpRequest) -> RateState | None:
    """Return where the key of a request stands, once it was counted."""
    state: RateState | None = getattr(request, _ATTRIBUTE, None)
    return state


def count_failure(request: HttpRequest, group: str = "access.failures", unaffected: str = "valid key") -> None:
    """Count a failed authentication; raises RateLimited when its address had too many in this minute.

    Only failures come here, so an authentic key is never refused for what others at its address do. Failures of different
    groups are counted apart.
    """
    usage = _count(request, group, _place(client_address(request)), FAILURES_PER_MINUTE)
    if usage["should_limit"]:
        raise RateLimited(
            f"Too many failed authentications from this address; wait {_seconds(usage)} s. A {unaffected} is not affected.",
            retry_after=_seconds(usage),
        )


def count_for(request: HttpRequest, group: str, target: str, limit: int, refused: str) -> int:
    """Count what fails at a target, whatever address it comes from, and return how many did in this minute; RateLimited beyond `limit`.

    `refused` is the sentence for people; what is authentic must not come here.
    """
    usage = _count(request, group, target, limit)
    if usage["should_limit"]:
        raise RateLimited(f"{refused} Wait {_seconds(usage)} s.", retry_after=_seconds(usage))
    return int(usage["count"])


def _count(request: HttpRequest, group: str, value: str, limit: int) -> dict[str, Any]:
    try:
        usage = get_usage(request, group=group, key=lambda _group, _request: value, rate=f"{limit}/m", increment=True)
    except counters.FAILURES as error:
        logger.exception("counters_unavailable")
        raise Unavailable("Requests can't be counted at present; try again shortly.", retry_after=_RETRY_SECONDS) from error
    return usage or {"count": 0, "should_limit": False, "time_left": 60}


def _seconds(usage: dict[str, Any]) -> int:
    return max(1, int(usage["time_left"]))


def _place(address: str | None) -> str:
    """Return the address, of IPv6 the /64 that one subscriber has."""
    parsed = parse_address(address or "")
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
