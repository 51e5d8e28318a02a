"""What became of the deliveries of bench.traffic, in a form that two portals can be compared by: no ids, no times of their own.

python -m bench.inbound_state state|sources|waiting|became        prints it as JSON, with the settings of a portal
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from typing import Any

from bench import setup

_OWN = {"id", "created_at", "updated_at", "owner_id", "repository_id"}
# what a build passes through is announced where it was seen: not its start when its end was told first
_PASSED = ("build.started", "build.failed")
_EARLY = "build.recovered"  # a success is announced as the first after a failure, until an earlier one is told of


def sources() -> dict[str, str]:
    """Make a source of each provider, and return the ids of both."""
    from bench.traffic import SECRET
    from webhooks import secrets
    from webhooks.models import InboundSource

    made = {}
    for provider, config in (("github", {}), ("gitlab", {"mode": "token"})):
        source = InboundSource.objects.create(name="flood", provider=provider, config=config, secrets=secrets.initial(SECRET))
        made[provider] = str(source.pk)
    return made


def state(owner: str = "acme") -> dict[str, Any]:
    """Return receipts, their events, builds and the events of builds, of the projects of `owner`."""
    from builds.models import Build
    from core.models import Event
    from webhooks.models import InboundSource, Receipt

    providers = dict(InboundSource.objects.filter(receipts__isnull=False).values_list("id", "provider").distinct())
    rows = list(Receipt.objects.order_by("id").values())
    payloads = {
        str(row["id"]): _said(row["type"], row["payload"], owner)
        for row in Event.objects.values("id", "type", "payload")
        if f'"{owner}/' in json.dumps(row["payload"])
    }
    receipts, events, repeated = {}, {}, Counter[str]()
    for row in rows:
        if row["verdict"] != "accepted" or not all(event in payloads for event in row["event_ids"]):
            continue
        if row["outcome"] == "duplicate":
            repeated[row["dedupe_id"]] += 1
            continue
        key = row["dedupe_id"]
        assert key not in receipts, f"{key} was settled twice"
        receipts[key] = [providers[row["source_id"]], row["event"], row["outcome"], row["duplicates"]]
        events[key] = [payloads.pop(event) for event in row["event_ids"]]
    builds = [
        {name: str(value).replace(f"{owner}/", "") for name, value in build.items() if name not in _OWN}
        for build in Build.objects.filter(project__startswith=f"{owner}/").values()
    ]
    ended = {f"{one['project']} {one['source']} {one['build_id']} {one['attempt']}": one["status"] for one in builds}
    announced = [said for said in payloads.values() if _stayed(said, ended)]
    return {
        "receipts": receipts,
        "events": events,
        "builds": sorted(builds, key=json.dumps),
        "build events": sorted(announced),
        "stored duplicates": sum(repeated.values()),
        "ids": [str(row["id"]) for row in rows],
    }


def _stayed(said: str, ended: dict[str, str]) -> bool:
    kind, _, build = said.partition(" ")
    return kind not in _PASSED or (kind == "build.failed" and ended[build] != "success")


def _said(kind: str, payload: Any, owner: str) -> str:
    if kind.startswith("build."):  # its fields are those of the build, compared anyway
        which = ("source", "workflow", "commit") if kind == "build.flaky" else ("source", "build_id", "attempt")
        return " ".join([kind, payload["project"].partition("/")[2], *(str(payload[name]) for name in which)])
    text = json.dumps(payload, sort_keys=True).replace(f"{owner}/", "")
    return f"{kind} {hashlib.sha256(text.encode()).hexdigest()}"


def differences(expected: dict[str, Any], found: dict[str, Any], sent_again: dict[str, int]) -> list[str]:
    """Return what differs from a delivery in order and without duplicates, which must be counted on the first, in words."""
    wanted = {key: [*row[:3], sent_again.get(key, 0)] for key, row in expected["receipts"].items()}
    told = _diff("receipt", wanted, found["receipts"]) + _diff("events of", expected["events"], found["events"])
    told += _diff("build", _by_key(expected["builds"]), _by_key(found["builds"]))
    missing = Counter(expected["build events"]) - Counter(found["build events"])
    more = Counter(found["build events"]) - Counter(expected["build events"])
    told += [f"missing {said}" for said in missing]
    return told + [f"more than once or never before: {said}" for said in more if not said.startswith(_EARLY) or more[said] > 1]


def _by_key(builds: list[dict[str, str]]) -> dict[str, Any]:
    return {f"{one['project']} {one['source']} {one['build_id']} {one['attempt']}": one for one in builds}


def _diff(what: str, expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    keys = sorted(expected.keys() | found.keys())
    return [f"{what} {key}: {expected.get(key)} became {found.get(key)}" for key in keys if expected.get(key) != found.get(key)]


def of_portal(portal: Any, what: str = "state") -> Any:
    """Ask a process of a running portal's settings for the state, or have it make the sources."""
    command = [sys.executable, "-m", "bench.inbound_state", what]
    done = subprocess.run(command, env=portal.environment, cwd=setup.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def became() -> dict[str, list[str]]:
    """Return the outcome of each delivery, the types of its events, and its builds' status."""
    from builds.models import Build
    from core.models import Event
    from webhooks.models import Receipt

    types = {str(pk): kind for pk, kind in Event.objects.values_list("id", "type")}
    found = {row.dedupe_id: [row.error or row.outcome, *(types[event] for event in row.event_ids)] for row in Receipt.objects.all()}
    return found | {"": [f"{build.source} {build.build_id} {build.status}" for build in Build.objects.all()]}


def waiting() -> int:
    """Return how many requests wait to be interpreted."""
    from webhooks.models import Receipt

    return Receipt.objects.filter(state__in=["queued", "running"]).count()


def main() -> None:
    setup.start_django()
    print(json.dumps({"state": state, "sources": sources, "waiting": waiting, "became": became}[sys.argv[1]]()))


if __name__ == "__main__":
    main()
