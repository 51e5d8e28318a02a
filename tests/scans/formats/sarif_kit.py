"""SARIF reports for tests: a part that a test is about, in a report around it."""

from __future__ import annotations

from typing import Any

from integrations.contract.reports import ReportedFinding
from tests.scans.formats.reports_kit import findings


def report(*results: Any, rules: Any = None, driver: Any = None, extensions: Any = None, **run: Any) -> dict[str, Any]:
    tool = {"driver": {"name": "Acme Lint", **({} if rules is None else {"rules": rules}), **(driver or {})}}
    if extensions is not None:
        tool["extensions"] = extensions
    # what results refer to stands behind them, as it may
    return {"version": "2.1.0", "runs": [{"results": list(results), "tool": tool, **run}]}


def result(rule_id: str | None = "A1", uri: str | None = "src/a.py", **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"message": {"text": "Bad thing."}}
    if rule_id is not None:
        found["ruleId"] = rule_id
    if uri is not None:
        found["locations"] = [place(uri)]
    return found | fields


def place(uri: Any, region: Any = None, **artifact: Any) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri, **artifact}}
    if region is not None:
        physical["region"] = region
    return {"physicalLocation": physical}


def one(*arguments: Any, **parts: Any) -> ReportedFinding:
    """Return the only finding of a report around these results."""
    (found,) = findings(report(*arguments, **parts))
    return found
