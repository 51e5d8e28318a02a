"""A result of SARIF that says nothing."""

from __future__ import annotations

import io
import json

import pytest

from integrations.contract.reports import ReportedFinding
from scans.formats.base import Problem
from scans.formats.sarif.report import Sarif
from scans.formats.source import Source

pytestmark = pytest.mark.once


def test_a_result_that_says_nothing_is_a_problem_and_no_finding() -> None:
    results = [{}, {"level": "error"}, {"message": {"text": "A word is enough."}}]
    body = json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": results}]}).encode()
    items = list(Sarif().read(Source(io.BytesIO(body), len(body))))
    assert [one.where for one in items if isinstance(one, Problem)] == ["runs[0].results[0]", "runs[0].results[1]"]
    assert [one.title for one in items if isinstance(one, ReportedFinding)] == ["A word is enough."]
