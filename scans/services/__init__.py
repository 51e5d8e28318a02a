"""Writing scans, policies and decisions."""
