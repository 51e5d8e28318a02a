"""Reports of scanners as the tests read them: the files in fixtures/, named after their format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from integrations.contract.reports import ReportedFinding
from scans.formats import detect
from scans.formats.base import Item, Problem, Section
from scans.formats.source import Source

FIXTURES = Path(__file__).parent / "fixtures"
NATIVE = ("bandit", "checkov", "gitleaks", "grype", "npm_audit", "osv_scanner", "pip_audit", "semgrep", "snyk_cli", "trivy")
SAMPLES = sorted(path.stem for key in NATIVE for path in FIXTURES.glob(f"{key}.*.json"))
SECRET = "correct-horse-battery"


@dataclass(frozen=True)
class Read:
    items: list[Item]

    @property
    def sections(self) -> list[Section]:
        return [item for item in self.items if isinstance(item, Section)]

    @property
    def findings(self) -> list[ReportedFinding]:
        return [item for item in self.items if isinstance(item, ReportedFinding)]

    @property
    def problems(self) -> list[Problem]:
        return [item for item in self.items if isinstance(item, Problem)]

    def by_rule(self, rule: str) -> ReportedFinding:
        [found] = [item for item in self.findings if item.rule == rule]
        return found


def sample(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_bytes())


def source(report: Any) -> Source:
    body = report if isinstance(report, bytes) else json.dumps(report).encode()
    return Source(BytesIO(body), len(body))


def read(report: Any, key: str = "") -> Read:
    """Read a report, or a fixture by its name, as the format that is named, else as the one that recognises it."""
    report = sample(report) if isinstance(report, str) else report
    opened = source(report)
    kind = detect.find(key) if key else detect.detect(opened)
    return Read(list(kind().read(opened)))
