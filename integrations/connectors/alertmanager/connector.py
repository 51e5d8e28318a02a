"""Prometheus Alertmanager's webhooks: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import signing
from integrations.choices import Category
from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import json_object, moment, objects, peek, text
from integrations.contract.simulated import Message, Signed, Simulated, read_samples

_BEARER = "bearer "


class Alertmanager(Simulated):
    """A Prometheus Alertmanager, which tells of alerts that fire and are resolved."""

    key = "alertmanager"
    title = "Prometheus Alertmanager"
    description = "Tells of alerts that fire or are resolved."
    categories = (Category.MONITORING,)
    docs = "https://prometheus.io/docs/alerting/latest/configuration/#webhook_config"
    samples = read_samples(__file__)
    key_help = "At Alertmanager: the credentials under http_config.authorization of the webhook_config."
    overload_status = 503  # only 5xx are tried again; after a 429 the alert is lost until the group's next interval

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the Authorization that Alertmanager was given: the secret as Bearer token, as Basic password, or by itself."""
        value = signing.header_value(request.headers, "authorization")
        bearer = value[len(_BEARER) :].strip() if value.lower().startswith(_BEARER) else ""
        signing.check_token(secrets, [value, bearer, signing.basic_password(value) or ""])
        payload = peek(request.body)
        alerts = sorted(
            " ".join((text(alert.get("fingerprint")), text(alert.get("status")), text(alert.get("startsAt"))))
            for alert in objects(payload.get("alerts"))
        )
        delivery = payloads.digest([text(payload.get("groupKey"), 5000), *alerts]) if alerts else ""
        return Verified(delivery, text(payload.get("status")))

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the secret as Bearer token."""
        return Signed({"Authorization": f"Bearer {secret}"})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return one event for each alert of the group."""
        payload = json_object(request.body)
        changes = [_changed(alert, payload) for alert in objects(payload.get("alerts"))]
        return changes or [payloads.other("alertmanager", "group", payload)]


def _changed(alert: dict[str, Any], group: dict[str, Any]) -> InboundEvent:
    labels, annotations = (
        {text(name): text(value, 2000) for name, value in found.items()} if isinstance(found, dict) else {}
        for found in (alert.get("labels"), alert.get("annotations"))
    )
    status = text(alert.get("status"))
    began, ended = moment(alert.get("startsAt")), moment(alert.get("endsAt"))
    about = {
        "id": text(alert.get("fingerprint")),
        "title": annotations.get("summary") or labels.get("alertname", ""),
        "severity": labels.get("severity", ""),
        "state": status,
        "labels": labels,
        "annotations": annotations,
        "started_at": began.isoformat() if began else None,
        "ended_at": ended.isoformat() if ended and status == "resolved" else None,
        "receiver": text(group.get("receiver")),
        "url": text(alert.get("generatorURL"), 2000),
    }
    named = labels.get("repository", "")
    happened = ended if status == "resolved" else began
    return payloads.alert_changed(
        "alertmanager", status or "changed", about, repository=named[:255] if "/" in named else "", occurred_at=happened
    )
