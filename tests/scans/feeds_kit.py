"""Feeds as their publishers write them, and refreshes as a worker does them."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from core import work
from core.models.work import WorkState
from scans.feeds.running import work_off
from scans.feeds.starting import start_file
from scans.models import FeedRun

LOG4SHELL, LODASH, OTHER = "CVE-2021-44228", "CVE-2020-8203", "CVE-2019-10744"
SCORES = {LOG4SHELL: 0.94358, LODASH: 0.0313, OTHER: 0.00042}


def epss(scores: Mapping[str, float] = SCORES, day: str = "2026-11-27") -> bytes:
    rows = "".join(f"{cve},{score},{min(1.0, score + 0.05):.5f}\n" for cve, score in scores.items())
    return gzip.compress(f"#model_version:v2025.03.14,score_date:{day}T00:00:00+0000\ncve,epss,percentile\n{rows}".encode())


def kev(*cves: str, day: str = "2026-11-26", **more: Any) -> bytes:
    rows = [
        {
            "cveID": cve, "vendorProject": "Apache", "product": "Log4j2", "vulnerabilityName": "It", "dateAdded": "2021-12-10",
            "shortDescription": "…", "requiredAction": "Apply updates.", "dueDate": "2021-12-24", "knownRansomwareCampaignUse": "Known",
            "notes": "", "cwes": ["CWE-20"],
        }
        for cve in cves
    ]  # fmt: skip
    head = {"title": "CISA Catalog", "catalogVersion": day.replace("-", "."), "dateReleased": f"{day}T17:04:19.9796Z", "count": len(rows)}
    return json.dumps(head | {"vulnerabilities": rows} | more).encode()


def load(feed: str, content: bytes, *, forced: bool = False) -> FeedRun:
    row = start_file(feed, io.BytesIO(content), "list", forced=forced)
    return work_it_off(row)


def work_it_off(row: FeedRun) -> FeedRun:
    work.run_due(FeedRun, work_off)
    return FeedRun.objects.get(pk=row.pk)


def take_up_again(row: FeedRun) -> FeedRun:
    """As the sweep does when the worker was killed."""
    FeedRun.objects.filter(pk=row.pk).update(state=WorkState.QUEUED, run_after=timezone.now(), lease_owner=None, lease_token=None)
    return work_it_off(row)
