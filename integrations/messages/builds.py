"""Messages about builds and their analysis."""

from __future__ import annotations

from dataclasses import replace

from integrations.contract.message import Message, Standing, Tone
from integrations.messages.reading import Data, duration, facts, paragraph, plural, word

_FAILED = ("failure", "timed_out")


def tell_build(head: Message, data: Data) -> Message:
    """Say how a CI run stands."""
    kind, status, workflow = head.event_type.split(".")[1], word(data.get("status"), 20), word(data.get("workflow"))
    failed = kind == "failed" or status in _FAILED
    tone, standing = Tone.INFO, Standing.NONE
    if kind == "flaky":
        word_of_it, tone = "flaky", Tone.WARNING
    elif kind == "recovered":
        word_of_it, tone, standing = "recovered", Tone.GOOD, Standing.RESOLVED
    elif failed:
        word_of_it, tone, standing = "timed out" if status == "timed_out" else "failed", Tone.BAD, Standing.OPEN
    elif status == "success":
        word_of_it, tone, standing = "passed", Tone.GOOD, Standing.RESOLVED
    else:
        word_of_it = {"running": "started", "queued": "queued"}.get(status, status.replace("_", " ") or kind)
    took = duration(data.get("duration_seconds"))
    red = duration(data.get("red_seconds"))
    told = [*([("Duration", took)] if took else []), *([("Failed for", red)] if red else [])]
    return replace(
        head,
        title=f"Build {word_of_it}: {head.repository or 'unknown project'}{f' · {workflow}' if workflow else ''}",
        text=paragraph(data.get("message")),
        tone=tone,
        standing=standing,
        subject=f"build:{word(data.get('source'), 40)}/{head.repository}:{workflow}:{head.branch}",
        facts=(*facts(data, workflow="Workflow", build_id="Build", attempt="Attempt", source="Source"), *told),
    )


def tell_analysis(head: Message, data: Data) -> Message:
    """Say what an analysis found."""
    rate, builds = data.get("success_rate"), data.get("builds")
    shown = f"{rate:.1%} of them succeeded." if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= 1 else ""
    many = plural(builds, "build") if isinstance(builds, int) and not isinstance(builds, bool) else ""
    return replace(
        head,
        title=f"Build analysis ready{f': {head.repository}' if head.repository else ''}",
        text=" ".join(filter(None, [f"{many} were looked at." if many else "", shown])),
        subject=f"analysis:{head.repository}",
    )
