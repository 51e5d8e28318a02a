from __future__ import annotations

import pytest

from tests.connectors.senders import BY_NAME, fixture

pytestmark = pytest.mark.once
SENDER = BY_NAME["snyk"]


def test_new_and_gone_issues_are_changed_alerts() -> None:
    new, gone = SENDER.events(fixture("snyk", "project_snapshot"))
    assert {event.type for event in (new, gone)} == {"inbound.alert_changed"}
    assert (new.data["action"], gone.data["action"]) == ("created", "fixed")
    assert (new.repository, new.data["repository"]) == ("acme/shop", "acme/shop")
    alert = new.data["alert"]
    assert (alert["id"], alert["severity"], alert["package"]) == ("SNYK-PYTHON-REQUESTS-5595532", "medium", "requests")
    assert (alert["versions"], alert["fixable"], alert["identifiers"]["CVE"]) == (["2.19.0"], True, ["CVE-2023-32681"])


def test_a_test_that_changed_nothing_is_one_event() -> None:
    (event,) = SENDER.events(fixture("snyk", "project_snapshot", newIssues=[], removedIssues=[]))
    assert (event.type, event.repository) == ("inbound.snyk.project_snapshot", "acme/shop")


def test_the_ping() -> None:
    (event,) = SENDER.events(fixture("snyk", "ping"), x_snyk_event="ping/v0")
    assert event.type == "inbound.snyk.ping"


@pytest.mark.parametrize(
    ("name", "origin", "repository"),
    [("acme/shop:package.json", "github", "acme/shop"), ("acme/group/shop", "gitlab", "acme/group/shop"),
     ("docker-image|shop", "docker-hub", ""), ("acme/shop", "docker-hub", ""), ("shop", "cli", ""), ("shop", "github", "")],
)  # fmt: skip
def test_the_repository_in_a_projects_name(name: str, origin: str, repository: str) -> None:
    event = SENDER.events(fixture("snyk", "project_snapshot", project={"name": name, "origin": origin}))[0]
    assert event.repository == repository
