"""The measures once more, written plainly from docs/analysis.md over a list of dicts: what the portal's must equal."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import Any

from builds.analysis import dora

Build = dict[str, Any]
GOOD, BAD = ["success"], ["failure", "timed_out"]
STATUSES = ["queued", "running", "success", "failure", "timed_out", "cancelled", "skipped"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def start(build: Build) -> datetime:
    return build["started_at"] or build["created_at"]


def end(build: Build) -> datetime:
    return build["finished_at"] or build["started_at"] or build["created_at"]


def share(part: int, whole: int) -> float | None:
    return None if whole == 0 else round(part / whole, 6)


def judged(builds: list[Build]) -> list[Build]:
    return [build for build in builds if build["status"] in GOOD + BAD]


def failed(builds: list[Build]) -> list[Build]:
    return [build for build in builds if build["status"] in BAD]


def rates(builds: list[Build]) -> dict[str, Any]:
    done, red = len(judged(builds)), len(failed(builds))
    return {"completed": done, "failed": red, "failure_rate": share(red, done)}


def success_rate(builds: list[Build]) -> float | None:
    return share(len(judged(builds)) - len(failed(builds)), len(judged(builds)))


def rank(values: list[float], percent: int) -> float | None:
    return sorted(values)[ceil(len(values) * percent / 100) - 1] if values else None


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def took(build: Build) -> float | None:
    if build["duration_seconds"] is not None:
        return build["duration_seconds"]
    if build["started_at"] and build["finished_at"] and build["finished_at"] >= build["started_at"]:
        return (build["finished_at"] - build["started_at"]).total_seconds()
    return None


def durations(builds: list[Build], among: list[Build]) -> dict[str, Any]:
    values = []
    for build in builds:
        run = [other["attempt"] for other in among if all(other[key] == build[key] for key in ("project", "source", "build_id"))]
        if build["status"] == "success" and build["attempt"] == max(run) and took(build) is not None:
            values.append(took(build))
    return {"count": len(values), **{f"p{percent}": rounded(rank(values, percent)) for percent in (50, 90, 95)}}


def is_default(build: Build) -> bool:
    return build["branch"] == build["default_branch"] if build["default_branch"] else build["branch"] in ("main", "master")


def groups(builds: list[Build], *names: str) -> dict[tuple[str, ...], list[Build]]:
    keys = sorted({tuple(build[name] for name in names) for build in builds})
    return {key: [build for build in builds if tuple(build[name] for name in names) == key] for key in keys}


def in_order(builds: list[Build]) -> list[Build]:
    early = datetime.min.replace(tzinfo=builds[0]["created_at"].tzinfo) if builds else None
    return sorted(builds, key=lambda b: (end(b), b["started_at"] or early, b["attempt"], b["id"]))


def streaks(builds: list[Build]) -> list[dict[str, Any]]:
    """Return the streaks of one project, workflow and branch."""
    found: list[dict[str, Any]] = []
    red = False
    for build in in_order(judged([build for build in builds if not build["is_pull_request"]])):
        if build["status"] in BAD and not red:
            red = True
            found.append({"since": end(build).isoformat(), "began": end(build), "failures": 1, "seconds": None, "ongoing": True})
        elif build["status"] in BAD:
            found[-1]["failures"] += 1
        elif red:
            red = False
            found[-1] |= {"seconds": (end(build) - found[-1]["began"]).total_seconds(), "ongoing": False}
    return found


def recovery(found: list[dict[str, Any]]) -> dict[str, Any]:
    values = [streak["seconds"] for streak in found if not streak["ongoing"]]
    return {
        "recovered": len(values),
        "mean_seconds": rounded(sum(timedelta(seconds=v) / timedelta(seconds=1) for v in values) / len(values)) if values else None,
        "median_seconds": rounded(rank(values, 50)),
        "longest_seconds": rounded(max(values)) if values else None,
    }


def shown(streak: dict[str, Any]) -> dict[str, Any]:
    return {name: streak[name] for name in ("since", "failures", "seconds", "ongoing")}


def mttr(builds: list[Build], until: datetime) -> dict[str, Any]:
    every, default, entries = [], [], []
    for (project, workflow, branch), members in groups(builds, "project", "workflow", "branch").items():
        found, headline = streaks(members), is_default(in_order(members)[-1])
        every += found
        default += found if headline else []
        if found:
            ongoing = next((streak for streak in found if streak["ongoing"]), None)
            red = sum(streak["seconds"] for streak in found if not streak["ongoing"])
            red += max(0.0, (until - ongoing["began"]).total_seconds()) if ongoing else 0
            entry = {
                "project": project,
                "workflow": workflow,
                "branch": branch,
                "is_default": headline,
                **recovery(found),
                "longest_streak": shown(max(found, key=lambda streak: streak["failures"])),
                "ongoing": shown(ongoing) if ongoing else None,
            }
            entries.append(((not headline, -round(red, 3), project, workflow, branch), entry))
    sides = {
        name: {**recovery(found), "ongoing": len([streak for streak in found if streak["ongoing"]])}
        for name, found in (("default_branch", default), ("all_branches", every))
    }
    return {**sides, "groups": [entry for _key, entry in sorted(entries, key=lambda item: item[0])][:25]}


def flaky(builds: list[Build]) -> dict[str, Any]:
    failing = both = 0
    workflows = []
    for (project, workflow), members in groups(judged(builds), "project", "workflow").items():
        red = flake = 0
        latest: list[tuple[datetime, str]] = []
        for (commit,), runs in groups([build for build in members if build["commit"]], "commit").items():
            statuses = {build["status"] for build in runs}
            red += bool(statuses & set(BAD))
            if statuses & set(BAD) and statuses & set(GOOD):
                flake += 1
                latest.append((max(end(build) for build in runs), commit))
        failing, both = failing + red, both + flake
        if flake:
            entry = {"flaky_commits": flake, "failed_commits": red, "flake_rate": share(flake, red), "latest_commit": max(latest)[1]}
            workflows.append({"project": project, "workflow": workflow, **entry})
    workflows.sort(key=lambda entry: (-entry["flaky_commits"], -entry["flake_rate"], entry["project"], entry["workflow"]))
    return {"flaky_commits": both, "failed_commits": failing, "flake_rate": share(both, failing), "workflows": workflows[:10]}


def failure_rates(builds: list[Build]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key, most in (("by_branch", "branch", 50), ("by_workflow", "workflow", 50)):
        entries = [{"project": k[0], key: k[1], **rates(members)} for k, members in groups(judged(builds), "project", key).items()]
        entries.sort(key=lambda entry: (-entry["failed"], -entry["completed"], entry["project"], entry[key]))
        found[name] = entries[:most]
    found["by_weekday"] = [
        {"weekday": day, **rates([build for build in builds if start(build).weekday() == number])} for number, day in enumerate(DAYS)
    ]
    found["by_hour"] = [{"hour": hour, **rates([build for build in builds if start(build).hour == hour])} for hour in range(24)]
    found["heat_map"] = [
        [rates([build for build in builds if (start(build).weekday(), start(build).hour) == (day, hour)]) for hour in range(24)]
        for day in range(7)
    ]
    return found


def trend(builds: list[Build], since: datetime, until: datetime) -> dict[str, Any]:
    by_day = until - since <= timedelta(days=62)
    day = since.date() if by_day else since.date() - timedelta(days=since.weekday())
    points = []
    while datetime(day.year, day.month, day.day, tzinfo=until.tzinfo) < until:
        following = day + timedelta(days=1 if by_day else 7)
        members = [build for build in builds if day <= start(build).date() < following]
        points.append(
            {
                "start": day.isoformat(),
                "builds": len(members),
                "completed": len(judged(members)),
                "failed": len(failed(members)),
                "success_rate": success_rate(members),
                "duration_seconds": durations(members, builds),
            }
        )
        day = following
    return {"unit": "day" if by_day else "week", "points": points}


def slowest(builds: list[Build]) -> list[dict[str, Any]]:
    entries = []
    for (project, workflow), members in groups(builds, "project", "workflow").items():
        found = durations(members, builds)
        if found["count"]:
            entries.append({"project": project, "workflow": workflow, **found})
    return sorted(entries, key=lambda entry: (-entry["p95"], -entry["p50"], entry["project"], entry["workflow"]))[:10]


def dora_measures(builds: list[Build], since: datetime, until: datetime) -> dict[str, Any]:
    deployed = [b for b in builds if b["status"] == "success" and ("deploy" in b["workflow"].lower() or b["event"] == "deployment")]
    days = {start(build).date() for build in deployed}
    monday, weeks = since.date() - timedelta(days=since.weekday()), []
    while datetime(monday.year, monday.month, monday.day, tzinfo=until.tzinfo) < until:
        weeks.append(len([day for day in days if monday <= day < monday + timedelta(days=7)]))
        monday += timedelta(days=7)
    frequency = {
        "deployments": len(deployed),
        "per_week": round(len(deployed) / ((until - since) / timedelta(days=7)), 3) if deployed else None,
        "median_days_per_week": rank(weeks, 50) if deployed else None,
        "definition": dora.HOW_DEPLOYMENTS,
        "reason": "" if deployed else dora.NO_DEPLOYMENT,
    }
    pushed = [b for b in judged(builds) if is_default(b) and not b["is_pull_request"] and b["event"] in ("", "push") and b["commit"]]
    commits = groups(pushed, "project", "commit")
    red = len([1 for members in commits.values() if failed(members)])
    return {
        "deployment_frequency": frequency,
        "lead_time_seconds": {"value": None, "reason": dora.NO_LEAD_TIME},
        "change_failure_proxy": {"pushes": len(commits), "failed": red, "rate": share(red, len(commits)), "definition": dora.PROXY},
        "time_to_restore": {"value": None, "reason": dora.MTTR_NOTE},
    }


def naive(all_builds: list[Build], since: datetime, until: datetime) -> dict[str, Any]:
    """Return what builds.analysis.compute.measures must return for builds of any time, of which the window's count."""
    builds = [build for build in all_builds if since <= start(build) < until]
    return {
        "window": {"since": since.isoformat(), "until": until.isoformat()},
        "builds": len(builds),
        "counts": {status: len([build for build in builds if build["status"] == status]) for status in STATUSES},
        "completed": len(judged(builds)),
        "success_rate": success_rate(builds),
        "duration_seconds": durations(builds, builds),
        "mttr": mttr(builds, until),
        "flaky": flaky(builds),
        "failure_rate": failure_rates(builds),
        "trend": trend(builds, since, until),
        "slowest_workflows": slowest(builds),
        "dora": dora_measures(builds, since, until),
    }
