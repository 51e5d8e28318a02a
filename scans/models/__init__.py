"""Models of the app."""

from __future__ import annotations

from scans.models.commit import KnownCommit
from scans.models.daily import DailyCount
from scans.models.feeds import FeedRun, FeedState, KnownExploited, VulnerabilityScore
from scans.models.finding import Finding, FindingIdentifier
from scans.models.gates import GateCheck, GateFacts, GateResult, Policy
from scans.models.inventory import Inventory
from scans.models.presence import Presence, Stream
from scans.models.removal import ChangedBranch, RemovedRepository
from scans.models.scan import Scan, ScanPart
from scans.models.sync import SyncState
from scans.models.triage import RiskAcceptance

__all__ = [
    "ChangedBranch",
    "DailyCount",
    "FeedRun",
    "FeedState",
    "Finding",
    "FindingIdentifier",
    "GateCheck",
    "GateFacts",
    "GateResult",
    "Inventory",
    "KnownCommit",
    "KnownExploited",
    "Policy",
    "Presence",
    "RemovedRepository",
    "RiskAcceptance",
    "Scan",
    "ScanPart",
    "Stream",
    "SyncState",
    "VulnerabilityScore",
]
