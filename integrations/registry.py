"""The connectors there are: one line each."""

from __future__ import annotations

from core.errors import InvalidInput
from integrations.connectors.alertmanager.connector import Alertmanager
from integrations.connectors.bitbucket.connector import Bitbucket
from integrations.connectors.circleci.connector import CircleCI
from integrations.connectors.datadog.connector import Datadog
from integrations.connectors.discord.connector import Discord
from integrations.connectors.email.connector import Email
from integrations.connectors.epss.connector import Epss
from integrations.connectors.generic.connector import Generic
from integrations.connectors.github.connector import GitHub
from integrations.connectors.gitlab.connector import GitLab
from integrations.connectors.http.connector import HttpConnector
from integrations.connectors.jenkins.connector import Jenkins
from integrations.connectors.jira.connector import Jira
from integrations.connectors.kev.connector import Kev
from integrations.connectors.osv.connector import Osv
from integrations.connectors.pagerduty.connector import PagerDuty
from integrations.connectors.prometheus_pushgateway.connector import PrometheusPushgateway
from integrations.connectors.slack.connector import Slack
from integrations.connectors.snyk.connector import Snyk
from integrations.connectors.standard_webhooks.connector import StandardWebhooks
from integrations.connectors.storage.connector import Storage
from integrations.connectors.stripe.connector import Stripe
from integrations.connectors.teams.connector import Teams
from integrations.contract.connector import Connector
from integrations.contract.describe import capabilities

CONNECTORS: tuple[type[Connector], ...] = (
    GitHub,
    HttpConnector,
    Alertmanager,
    Bitbucket,
    CircleCI,
    Datadog,
    Discord,
    Email,
    Epss,
    Generic,
    GitLab,
    Jenkins,
    Jira,
    Kev,
    Osv,
    PagerDuty,
    PrometheusPushgateway,
    Slack,
    Snyk,
    StandardWebhooks,
    Storage,
    Stripe,
    Teams,
)  # fmt: skip
_BY_KEY = {connector.key: connector for connector in CONNECTORS}


def find(key: str) -> type[Connector]:
    """Return the connector of a key; raises InvalidInput for one that there is not."""
    if not has(key):
        raise InvalidInput.of("type", f"{key[:40]!r} is no connector; there are {', '.join(sorted(_BY_KEY))}.", code="unknown_connector")
    return _BY_KEY[key]


def has(key: str) -> bool:
    """Say whether there is a connector of a key: rows may be of another release."""
    return key in _BY_KEY


def with_capability(base: type[Connector]) -> list[type[Connector]]:
    """Return the connectors that implement a base, by key."""
    return sorted((connector for connector in CONNECTORS if issubclass(connector, base)), key=lambda connector: connector.key)


def for_integrations() -> list[type[Connector]]:
    """Return the connectors that integrations are made of: all but those that only receive, whose secrets the sources hold."""
    return [connector for connector in CONNECTORS if not only_receives(connector)]


def only_receives(connector: type[Connector]) -> bool:
    """Say whether a connector takes webhooks in, and does nothing else."""
    return capabilities(connector) == ["inbound"]
