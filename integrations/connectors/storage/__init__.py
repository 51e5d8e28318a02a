"""Storage: events, reports and old logs as objects in a bucket or a folder."""
