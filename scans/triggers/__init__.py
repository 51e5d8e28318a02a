"""What has scans queued: events, and the clock."""
