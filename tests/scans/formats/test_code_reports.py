"""Reports about code, secrets and configuration."""

from __future__ import annotations

import pytest

from tests.scans.formats.native import read, sample

pytestmark = pytest.mark.once


def test_semgrep() -> None:
    found = read("semgrep.scan")
    assert [(one.tool, one.version, one.category) for one in found.sections] == [("semgrep", "1.90.0", "")]
    first, logged_out, secret, password, dependency = found.findings
    assert (first.rule, first.severity, first.cwe, first.state) == ("python.eval.use", "ERROR", ("CWE-95: Eval Injection",), "open")
    assert (first.locations[0].path, first.locations[0].line, first.locations[0].end_line) == ("app/views.py", 7, 8)
    assert (first.locations[0].snippet, first.fingerprints) == ("eval(x)", {"matchBasedId/v1": "0a1b2c3d4e5f_0"})
    # what Semgrep hides from who has not signed in is the same for all findings
    assert (logged_out.fingerprints, logged_out.locations[0].snippet, logged_out.state) == ({}, "", "suppressed")
    assert (secret.kind, secret.description, secret.raw["message"]) == ("secret", "Found *** here.", "Found *** here.")
    assert (password.kind, password.locations[0].snippet) == ("", "password = ***")
    assert dependency.package is not None
    assert (dependency.package.name, dependency.package.version, dependency.package.manifest) == ("left", "1.1.0", "web/package-lock.json")
    assert (dependency.identifiers, dependency.locations) == ((("CVE", "CVE-2031-2002"),), ())


def test_semgrep_left_out_what_ran_out_of_time_but_not_a_template_with_a_strange_line() -> None:
    [problem] = read("semgrep.scan").problems
    assert problem.where == "errors[1]"
    assert problem.sentence == "Semgrep: Timeout in app/big.py. Timeout when running python.eval.use"


def test_bandit() -> None:
    found = read("bandit.scan")
    call, password = found.findings
    assert (call.rule, call.severity, call.cwe, call.title) == ("B602", "MEDIUM", ("78",), "subprocess call with shell=True")
    assert (call.locations[0].path, call.locations[0].line, call.locations[0].end_line) == ("app/views.py", 7, 8)
    assert (password.title, password.raw["issue_text"]) == ("Possible hardcoded password.",) * 2
    assert password.locations[0].snippet == "9 password = ***"
    assert [(one.where, one.sentence) for one in found.problems] == [
        ("errors[0]", "Bandit left out app/py2.py: syntax error while parsing AST from file.")
    ]


def test_gitleaks_tells_secrets_apart_wherever_they_move() -> None:
    first, second = read("gitleaks.git").findings
    assert (first.kind, first.rule, first.locations[0].path, first.locations[0].line) == ("secret", "generic-api-key", "app/conf.py", 5)
    assert first.fingerprints != second.fingerprints
    assert {"Secret", "Match", "Message", "Email", "Author"} & set(first.raw) == set()
    moved = sample("gitleaks.git")
    moved[0].update(StartLine=80, EndLine=80, StartColumn=7, EndColumn=34, Commit="f" * 40, Fingerprint="f:80")
    assert read(moved).findings[0].fingerprints == first.fingerprints


def test_an_empty_list_is_a_clean_report_only_of_the_format_that_is_named() -> None:
    assert [one.tool for one in read([], "gitleaks").sections] == ["gitleaks"]
    assert [one.tool for one in read([], "pip_audit").sections] == ["pip-audit"]


def test_checkov() -> None:
    found = read("checkov.frameworks")
    assert [(one.tool, one.version) for one in found.sections] == [("checkov", "3.2.0")]
    failed, skipped, secret, dependency = found.findings
    assert (failed.rule, failed.kind, failed.state, failed.locations[0].path) == ("CKV_AWS_2", "config", "open", "infra/main.tf")
    assert (failed.locations[0].line, failed.locations[0].end_line, failed.fingerprints) == (
        1,
        9,
        {"resource": "resource aws_instance.web"},
    )
    assert (skipped.rule, skipped.state) == ("CKV_AWS_3", "suppressed")
    # the hash that stands for a secret can be guessed from
    assert (secret.kind, "resource" in secret.raw, "3e6f1bd2" in secret.description) == ("secret", False, False)
    assert dependency.package is not None
    assert (dependency.package.name, dependency.package.fixed_version, dependency.identifiers) == (
        "left",
        "1.2.0",
        (("CVE", "CVE-2031-1001"),),
    )
    assert [one.sentence for one in found.problems] == ["Checkov could not parse infra/broken.tf."]
