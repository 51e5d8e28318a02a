"""Words of the webhooks room."""

from __future__ import annotations

from django.db import models


class WebhookStatus(models.TextChoices):
    """Whether a webhook is served; deliveries of an inactive one are parked."""

    ACTIVE = "active", "active"
    INACTIVE = "inactive", "inactive"


class InactiveReason(models.TextChoices):
    """Why a webhook is inactive."""

    NONE = "", "-"
    BY_USER = "by_user", "switched off by a user"
    GONE = "gone", "the endpoint answered 410 Gone"
    FAILING = "failing", "it failed for too long without a success"


class Lane(models.IntegerChoices):
    """Priority: a webhook's due deliveries leave lane by lane, lowest number first."""

    HIGH = 0, "high"
    NORMAL = 1, "normal"
    LOW = 2, "low"


class DeliveryStatus(models.TextChoices):
    """Where a delivery stands."""

    PENDING = "pending", "pending"
    SUCCESS = "success", "success"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class Trigger(models.TextChoices):
    """What caused an attempt."""

    AUTO = "auto", "automatic"
    MANUAL = "manual", "redelivered by a user"
    REPLAY = "replay", "replayed"
    TEST = "test", "test"


class Outcome(models.TextChoices):
    """How an attempt ended."""

    SUCCESS = "success", "success"
    ACCEPTED = "accepted", "accepted, not confirmed"
    RETRY = "retry", "failed, will be retried"
    FAILED = "failed", "failed for good"
    WORKER_LOST = "worker_lost", "worker lost"


class BreakerState(models.TextChoices):
    """Circuit breaker of a webhook (closed: all is well)."""

    CLOSED = "closed", "closed"
    OPEN = "open", "open"
    HALF_OPEN = "half_open", "half-open"


class HoldReason(models.TextChoices):
    """Why a webhook's due deliveries wait."""

    NONE = "", "-"
    BREAKER = "breaker", "it kept failing; single requests probe it"
    RETRY_AFTER = "retry_after", "the endpoint asked to wait (Retry-After)"
    THROTTLED = "throttled", "the endpoint is overloaded (429, 502, 503, 504)"
    RATE_LIMIT = "rate_limit", "its own rate limit"
    INTEGRATION = "integration", "its integration is inactive, failing or at its limit"


class ErrorClass(models.TextChoices):
    """What went wrong in an attempt."""

    NONE = "", "-"
    DNS = "dns", "host name not found"
    CONNECT = "connect", "connection refused or unreachable"
    CONNECT_TIMEOUT = "connect_timeout", "no connection in time"
    TLS = "tls", "TLS handshake or certificate"
    TIMEOUT = "timeout", "no complete answer in time"
    DISCONNECTED = "disconnected", "connection closed mid-answer"
    PROTOCOL = "protocol", "not valid HTTP"
    ANSWER_TOO_LARGE = "answer_too_large", "answer over the cap"
    ADDRESS_REFUSED = "address_refused", "address refused by the guard"
    INVALID_URL = "invalid_url", "URL can't be used"
    REDIRECT = "redirect", "redirect (never followed)"
    CLIENT_ERROR = "client_error", "4xx answer"
    GONE = "gone", "410 Gone"
    RATE_LIMITED = "rate_limited", "429 Too Many Requests"
    SERVER_ERROR = "server_error", "5xx answer"
    WORKER_LOST = "worker_lost", "the sending process died"
    REFUSED = "refused", "the destination said no"
    BAD_ANSWER = "bad_answer", "unexpected answer"
    SIGN_IN = "sign_in", "credentials refused"
    CIRCUIT_OPEN = "circuit_open", "breaker of the integration is open"
    QUOTA_USED_UP = "quota_used_up", "quota or rate limit of the integration is used up"
    INTEGRATION = "integration", "its integration can't be used"
    UNSUITABLE = "unsuitable", "an event that the destination can't take"
    UNREADABLE_SECRET = "unreadable_secret", "stored secret can't be decrypted"
    INTERNAL = "internal", "error of the portal itself"


FAULTS = (ErrorClass.INTERNAL, ErrorClass.UNREADABLE_SECRET)
"""Faults of the portal's own: nothing was sent, and nothing speaks against the endpoint."""


class Verdict(models.TextChoices):
    """Whether an inbound request was authentic."""

    ACCEPTED = "accepted", "accepted"
    REFUSED = "refused", "refused"


class ReceiptOutcome(models.TextChoices):
    """What came of an authentic inbound request."""

    NONE = "", "-"
    WAITING = "waiting", "waiting"
    PROCESSED = "processed", "processed"
    DUPLICATE = "duplicate", "duplicate of an earlier one"
    IGNORED = "ignored", "nothing in it for the portal"
    FAILED = "failed", "failed"


class ReprocessableOutcome(models.TextChoices):
    """The outcomes of inbound requests that can be interpreted again."""

    FAILED = "failed", "failed"
    PROCESSED = "processed", "processed"
    IGNORED = "ignored", "nothing in it for the portal"


class BackfillStatus(models.TextChoices):
    """Where a look for missed deliveries stands."""

    RUNNING = "running", "running"
    WAITING = "waiting", "waiting"
    DONE = "done", "done"
    FAILED = "failed", "failed"
