"""Messages about gates."""

from __future__ import annotations

from dataclasses import replace

from integrations.contract.message import Message, Standing, Tone
from integrations.messages.reading import Data, amount, count, facts, findings_of, listed, mapping, plural, word

_CAUSES = {"scan": "after a scan", "triage": "after findings were triaged", "time": "because time passed"}


def tell(head: Message, data: Data) -> Message:
    """Say whether the gate is open, and why not."""
    failed = data.get("result") != "passed"
    counts = mapping(data.get("counts"))
    named = findings_of(data)
    reasons = tuple(filter(None, (word(one, 500) for one in listed(data.get("reasons")))))
    new, everything = count("new", counts.get("new")), count("in all", counts.get("all"))
    worst = {one.severity for one in named}
    return replace(
        head,
        title=f"Gate {'failed' if failed else 'passed'}: {head.repository or 'unknown repository'}",
        text=_sentence(data, failed=failed, broken=amount(data.get("broken_count"))),
        tone=Tone.GOOD if not failed else Tone.CRITICAL if "critical" in worst or new.by_severity.get("critical") else Tone.BAD,
        standing=Standing.OPEN if failed else Standing.RESOLVED,
        subject=f"gate:{head.provider}/{head.repository}:{head.branch}",
        counts=(new, everything),
        reasons=reasons,
        findings=named,
        more_findings=max(amount(data.get("broken_count")) - len(named), 0),
        facts=facts(data, policy="Policy"),
    )


def _sentence(data: Data, *, failed: bool, broken: int) -> str:
    before, now = data.get("previous"), data.get("result")
    cause = _CAUSES.get(word(data.get("cause")), "")
    was = f" It was {before} before." if before in ("passed", "failed") and before != now else ""
    what = f"{plural(broken, 'finding breaks', 'findings break')} the policy" if failed and broken else "The policy is broken"
    if not failed:
        what = "Nothing breaks the policy"
    return f"{what}{', decided ' + cause if cause else ''}.{was}"
